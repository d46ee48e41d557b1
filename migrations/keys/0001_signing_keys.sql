-- The signing keys of an application (SPEC.md section 5), for whoever keeps them in the database and not in a `.env` file.
--
-- This file is no part of a migration: it is applied in a transaction of its own by the first change to the keys, and
-- recorded in the audit log. What takes a policy back leaves these tables where they are, or everybody would be logged out.

create table signing_keys (
    kid text collate "C" not null primary key check (kid ~ '^[A-Za-z0-9_-]{1,64}$'),
    algorithm text collate "C" not null check (algorithm in ('HS256', 'EdDSA', 'ES256')),
    state text collate "C" not null check (state in ('staged', 'active', 'retired')),
    since timestamptz not null check (isfinite(since) and since < '294247-01-01 00:00:00+00'),
    not_after timestamptz check (isfinite(not_after) and not_after < '294247-01-01 00:00:00+00'),
    -- A nonce of 24 bytes, a secret of 32 to 4096, a tag of 16.
    sealed bytea not null check (octet_length(sealed) between 72 and 4136),
    sealing_key text collate "C" not null check (sealing_key ~ '^[0-9a-f]{16}$'),
    created_at timestamptz not null,
    check ((state = 'retired') = (not_after is not null))
);
-- One key signs, and one waits to.
create unique index signing_keys_one on signing_keys (state) where state in ('active', 'staged');

-- Only ever added to. A key whose name stands here is none, wherever it comes from.
create table revoked_keys (
    kid text collate "C" not null primary key check (kid ~ '^[A-Za-z0-9_-]{1,64}$'),
    at timestamptz not null check (isfinite(at) and at < '294247-01-01 00:00:00+00')
);

revoke all on table signing_keys, revoked_keys from public;

comment on table signing_keys is 'Keys that sign and verify tokens, their secrets sealed with a key that is not here';
comment on column signing_keys.since is 'Since when the key is in this state';
comment on column signing_keys.not_after is 'From then on a retired key verifies nothing';
comment on column signing_keys.sealed is 'XChaCha20-Poly1305: nonce, secret, tag; bound to schema, kid and algorithm';
comment on column signing_keys.sealing_key is 'Which key-encryption key it is sealed with';
comment on table revoked_keys is 'Names of keys that never verify again';

create function revoked_keys_refuse() returns trigger
language plpgsql set search_path from current as $$
begin
    raise exception '% on % is refused: a revoked key stays revoked', tg_op, tg_relid::regclass
        using errcode = 'insufficient_privilege', hint = 'Rotate to a new key instead.';
end
$$;

create trigger revoked_keys_refuse before update or delete or truncate on revoked_keys
    for each statement execute function revoked_keys_refuse();
-- Also where session_replication_role = replica switches ordinary triggers off.
alter table revoked_keys enable always trigger revoked_keys_refuse;

-- Every name that was revoked, also where somebody has brought revoked_keys back from an old copy: the audit log is
-- another table, and remembers. Whoever may read the keys needs no right on either.
create function revoked_kids() returns table (kid text, at timestamptz)
language sql stable security definer set search_path from current
begin atomic
    select r.kid, r.at from revoked_keys r
    union all
    select l.subject, min(l.at)
    from audit_log l
    where l.action = 'keys.revoke' and l.outcome = 'succeeded' and l.subject ~ '^[A-Za-z0-9_-]{1,64}$'
        and not exists (select from revoked_keys r where r.kid = l.subject)
    group by l.subject;
end;
-- So that asking costs nothing, however long the log is.
create index audit_log_revoked_keys on audit_log (subject, at)
    where action = 'keys.revoke' and outcome = 'succeeded';

revoke all on function revoked_keys_refuse(), revoked_kids() from public;
