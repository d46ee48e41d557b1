-- What was applied to this schema, and when: one row for every SQL file of this directory, and one for every policy that
-- was put in force. A row is written in the transaction that does what it says.

create table pbac_migrations (
    id bigint not null primary key check (id > 0),
    kind text collate "C" not null check (kind in ('file', 'policy')),
    applied_at timestamptz not null default clock_timestamp(),
    applied_by text collate "C" not null check (octet_length(applied_by) between 1 and 256),
    tool_version text collate "C" not null check (octet_length(tool_version) between 1 and 64),

    -- An SQL file: the number and the words of its name, and the SHA-384 of its text.
    version bigint unique check (version > 0),
    description text collate "C",
    checksum bytea check (octet_length(checksum) = 48),

    -- A policy: what it is called, the content hash of the policy as stored, the SHA-256 of the file's text, where the
    -- legacy roles lie (null: nowhere), and how many rows the run inserted, updated and deleted, by table.
    policy_name text collate "C",
    policy_hash bytea check (octet_length(policy_hash) = 32),
    text_hash bytea check (octet_length(text_hash) = 32),
    source jsonb check (jsonb_typeof(source) = 'object'),
    counts jsonb check (jsonb_typeof(counts) = 'object'),

    -- The legacy tables as they were then, so that a rollback can show that they still are: the number of rows, and a
    -- SHA-256 over every user's id, role label and activity, in order of the id. Null without a source.
    legacy_rows bigint check (legacy_rows >= 0),
    legacy_hash bytea check (octet_length(legacy_hash) = 32),

    check (
        case kind
            when 'file' then
                num_nulls(version, description, checksum) = 0
                and num_nonnulls(policy_name, policy_hash, text_hash, source, counts, legacy_rows, legacy_hash) = 0
            else
                num_nonnulls(version, description, checksum) = 0
                and num_nulls(policy_name, policy_hash, text_hash, counts) = 0
                and num_nulls(source, legacy_rows, legacy_hash) in (0, 3)
        end
    )
);
revoke all on table pbac_migrations from public;

comment on table pbac_migrations is 'What pbac applied to this schema: SQL files and policies';
