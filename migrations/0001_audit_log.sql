-- The audit log: one row for everything that was tried, done or refused. Append-only and hash-chained, so that a
-- changed, missing or inserted row shows. It is tamper-evident, not tamper-proof: whoever owns the table can switch the
-- triggers off and rewrite the whole chain, which only a head hash that is kept elsewhere reveals.
--
-- This file is committed on its own, before anything else, so that a migration that fails leaves a record.

create table audit_log (
    seq bigint not null primary key check (seq > 0),
    at timestamptz not null,
    actor text collate "C" not null check (octet_length(actor) between 1 and 256),
    action text collate "C" not null check (action ~ '^[a-z][a-z0-9_.-]{0,63}$'),
    subject text collate "C" not null check (octet_length(subject) <= 1024),
    outcome text collate "C" not null check (outcome in ('attempted', 'succeeded', 'failed', 'refused')),
    details jsonb not null check (jsonb_typeof(details) = 'object'),
    previous_hash bytea not null unique check (octet_length(previous_hash) = 32),
    hash bytea not null check (octet_length(hash) = 32)
);
revoke all on table audit_log from public;

comment on table audit_log is 'What pbac tried, did or refused: append-only, hash-chained';
comment on column audit_log.seq is '1, 2, 3, ... without gaps';
comment on column audit_log.outcome is 'attempted, succeeded, failed or refused';
comment on column audit_log.hash is 'SHA-256 over the row and previous_hash, see audit_hash';

-- A field as the chain hashes it: its length in bytes as 8 bytes, big-endian, then its bytes. Without the length, the
-- end of one field could be read as the beginning of the next.
create function audit_field(value text) returns bytea
language sql immutable parallel safe
return int8send(octet_length(convert_to(value, 'UTF8'))::bigint) || convert_to(value, 'UTF8');

-- The hash of a row: previous hash, number, time in microseconds since 1970, and the five texts (details as jsonb prints
-- itself, which depends on its value only).
create function audit_hash(
    previous_hash bytea, seq bigint, at timestamptz, actor text, action text, subject text, outcome text, details jsonb
) returns bytea
language sql immutable parallel safe
return sha256(
    previous_hash
    || int8send(seq)
    || int8send((extract(epoch from at) * 1000000)::bigint)
    || audit_field(actor)
    || audit_field(action)
    || audit_field(subject)
    || audit_field(outcome)
    || audit_field(details::text)
);

-- Number, time and hashes are always the server's, however a row is inserted. The lock is held until the transaction
-- ends, so that the head this row builds on is the last one: the chain cannot fork. (In a repeatable-read transaction
-- the head may be stale; the primary key then refuses the row.)
create function audit_chain() returns trigger
language plpgsql set search_path from current as $$
declare
    head_seq bigint;
    head_hash bytea;
begin
    perform pg_advisory_xact_lock(1885495651, (tg_relid::bigint - 2147483648)::integer);
    select l.seq, l.hash into head_seq, head_hash from audit_log l order by l.seq desc limit 1;
    new.seq := coalesce(head_seq, 0) + 1;
    new.at := clock_timestamp();
    new.previous_hash := coalesce(head_hash, decode(repeat('00', 32), 'hex'));
    new.hash := audit_hash(
        new.previous_hash, new.seq, new.at, new.actor, new.action, new.subject, new.outcome, new.details
    );
    return new;
end
$$;

create function audit_refuse() returns trigger
language plpgsql set search_path from current as $$
begin
    raise exception '% on % is refused: the audit log is append-only', tg_op, tg_relid::regclass
        using errcode = 'insufficient_privilege', hint = 'Append a row that corrects the earlier one.';
end
$$;

create trigger audit_chain before insert on audit_log for each row execute function audit_chain();
create trigger audit_refuse before update or delete or truncate on audit_log
    for each statement execute function audit_refuse();
-- Also where session_replication_role = replica switches ordinary triggers off.
alter table audit_log enable always trigger audit_chain;
alter table audit_log enable always trigger audit_refuse;

-- Appends one row and returns the new head. Whoever may call it writes in any actor's name, so nobody but the owner may.
create function audit_append(
    actor text, action text, subject text, outcome text, details jsonb, out seq bigint, out hash bytea
)
language sql volatile security definer set search_path from current as $$
    insert into audit_log (actor, action, subject, outcome, details) values ($1, $2, $3, $4, $5)
    returning audit_log.seq, audit_log.hash
$$;

revoke all on function
    audit_field(text),
    audit_hash(bytea, bigint, timestamptz, text, text, text, text, jsonb),
    audit_chain(),
    audit_refuse(),
    audit_append(text, text, text, text, jsonb)
from public;
