-- The policy: catalog, roles, conflicts and the overrides of single users. The checks hold the grammar of names and
-- patterns, so that no row can mean anything but what the policy file could have said.

-- 2 to 8 segments of [a-z0-9][a-z0-9_-]{0,62}, 100 bytes at most. Null for null.
create function is_permission(value text) returns boolean
language sql immutable parallel safe
return octet_length(value) <= 100
    and value ~ '^[a-z0-9][a-z0-9_-]{0,62}(\.[a-z0-9][a-z0-9_-]{0,62}){1,7}$';

-- A permission in which * may stand as the last character of a segment (of 63 bytes, the * among them), or * alone.
create function is_pattern(value text) returns boolean
language sql immutable parallel safe
return octet_length(value) <= 100
    and value ~ ('^(\*|([a-z0-9][a-z0-9_-]{0,62}|[a-z0-9][a-z0-9_-]{0,61}\*|\*)'
                 '(\.([a-z0-9][a-z0-9_-]{0,62}|[a-z0-9][a-z0-9_-]{0,61}\*|\*)){1,7})$');

-- What a module, a role, an alias and a conflict are called: 1 to 128 bytes, no control characters.
create function is_label(value text) returns boolean
language sql immutable parallel safe
return octet_length(value) between 1 and 128 and value !~ '[\u0001-\u001f\u007f-\u009f]';

create function is_user_id(value text) returns boolean
language sql immutable parallel safe
return octet_length(value) between 1 and 256;

create table permissions (
    name text collate "C" not null primary key check (is_permission(name)),
    module text collate "C" not null check (is_label(module)),
    description text collate "C" not null
);

create table roles (
    name text collate "C" not null primary key check (is_label(name)),
    description text collate "C" not null
);

create table role_permissions (
    role text collate "C" not null references roles (name),
    pattern text collate "C" not null check (is_pattern(pattern)),
    primary key (role, pattern)
);

create table role_inherits (
    role text collate "C" not null references roles (name),
    inherits text collate "C" not null references roles (name),
    primary key (role, inherits),
    check (role <> inherits)
);
create index role_inherits_inherits on role_inherits (inherits);

create table role_aliases (
    alias text collate "C" not null primary key check (is_label(alias)),
    role text collate "C" not null references roles (name),
    check (alias <> role)
);
create index role_aliases_role on role_aliases (role);

create table conflicts (
    name text collate "C" not null primary key check (is_label(name)),
    left_pattern text collate "C" not null check (is_pattern(left_pattern)),
    right_pattern text collate "C" not null check (is_pattern(right_pattern)),
    reason text collate "C" not null
);

-- One row for each user, pattern and effect: of two such overrides the later expiry counts. The upper bound of the
-- expiry is what microseconds since 1970 hold in 64 bits.
create table user_custom_permissions (
    user_id text collate "C" not null check (is_user_id(user_id)),
    pattern text collate "C" not null check (is_pattern(pattern)),
    effect text collate "C" not null check (effect in ('allow', 'deny')),
    expires_at timestamptz check (isfinite(expires_at) and expires_at < '294247-01-01 00:00:00+00'),
    reason text collate "C" not null,
    granted_by text collate "C" not null check (octet_length(granted_by) between 1 and 256),
    granted_at timestamptz not null default clock_timestamp(),
    primary key (user_id, pattern, effect)
);

revoke all on table
    permissions, roles, role_permissions, role_inherits, role_aliases, conflicts, user_custom_permissions
from public;
revoke all on function is_permission(text), is_pattern(text), is_label(text), is_user_id(text) from public;

comment on table permissions is 'The catalog: a permission that is not here is denied';
comment on column permissions.module is 'Groups permissions; never parsed out of the name';
comment on table roles is 'Roles by their own names; aliases are in role_aliases';
comment on table role_permissions is 'Patterns a role holds itself; inherited ones are found through role_inherits';
comment on table role_inherits is 'role holds everything that inherits holds';
comment on table role_aliases is 'Other spellings of a role: enum label, display value, token claim';
comment on table conflicts is 'Two patterns that one user should not both hold; reported, not enforced';
comment on table user_custom_permissions is 'Overrides: one pattern allowed or denied to one user, maybe until expires_at';
