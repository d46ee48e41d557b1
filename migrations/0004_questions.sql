-- Questions to the policy, answered in SQL as everywhere else (SPEC.md section 3). An application's role needs USAGE on
-- the schema to ask, and no right on any table: the functions run with the rights of their owner.
--
-- In a row-level security policy, write `(select has_permission(...))` where the arguments do not depend on the row: it
-- is then asked once a query rather than once a row.

-- Where the legacy roles lie is known to a policy's source section only; these three stand for "nowhere" and are replaced
-- when a policy with a source is applied. Their bodies are strings and qualify every name, so that no dependency on a
-- legacy table is recorded.
create function user_roles(user_id text) returns setof text
language sql stable parallel safe rows 1 as 'select null::text where false';
comment on function user_roles(text) is 'Role names of a user who is active, unknown ones among them';

create function user_is_active(user_id text) returns boolean
language plpgsql stable parallel safe as 'begin return true; end';
comment on function user_is_active(text) is 'False for a user who is there and inactive: no roles, no allow overrides';

create function all_users() returns table (user_id text, label text, role text, active boolean)
language sql stable parallel safe as
'select null::text, null::text, null::text, null::boolean where false';
comment on function all_users() is 'Every legacy user: label as stored, role it stands for, activity (null: not said)';

-- Whether a valid pattern matches a valid permission. For anything else the answer means nothing; pattern_matches checks.
create function covers(pattern text, permission text) returns boolean
language sql immutable parallel safe
return case
    when pattern = '*' then true
    when position('*' in pattern) = 0 then permission = pattern
    -- A trailing segment `*` takes all that is left.
    when right(pattern, 2) = '.*' and position('*' in left(pattern, -1)) = 0
        then starts_with(permission, left(pattern, -1))
    when right(pattern, 2) = '.*'
        then permission ~ ('^' || replace(replace(left(pattern, -1), '.', '\.'), '*', '[^.]*'))
    -- With as many dots on both sides each dot is matched by a dot, so that no % reaches into the next segment.
    else
        length(replace(permission, '.', '')) - length(permission)
            = length(replace(pattern, '.', '')) - length(pattern)
        and permission like replace(replace(pattern, '_', '\_'), '*', '%')
end;

-- Whether a pattern matches a permission (SPEC.md section 1). False when either is malformed, null when either is null.
create function pattern_matches(pattern text, permission text) returns boolean
language sql immutable strict parallel safe
return is_pattern(pattern) and is_permission(permission) and covers(pattern, permission);

-- The roles that labels stand for, by name or alias, with everything they inherit. Unknown labels stand for nothing.
create function held_roles(labels text[]) returns table (role text)
language sql stable parallel safe
begin atomic
    with recursive held (role) as (
        select r.name from roles r where r.name = any (labels)
        union
        select a.role from role_aliases a where a.alias = any (labels)
        union
        select i.inherits from held h join role_inherits i on i.role = h.role
    )
    select h.role from held h;
end;

-- The overrides of a user that are active at a time.
create function active_overrides(user_id text, effect text, at timestamptz) returns table (pattern text)
language sql stable parallel safe
begin atomic
    select o.pattern
    from user_custom_permissions o
    where o.user_id = active_overrides.user_id
        and o.effect = active_overrides.effect
        and (o.expires_at is null or active_overrides.at < o.expires_at);
end;

-- The decision for a user whose role labels are given, as a token carries them. An inactive user has none. A null
-- argument is an invalid request.
create function decide_roles(
    user_id text, roles text[], permission text, at timestamptz default now(),
    out allowed boolean, out reason text, out role text, out pattern text
)
language plpgsql stable parallel safe security definer
set search_path from current
set row_security = off
set plan_cache_mode = force_generic_plan
as $$
begin
    allowed := false;
    if roles is null or at is null or is_user_id(user_id) is not true or is_permission(permission) is not true then
        reason := 'invalid_request';
        return;
    end if;

    if not exists (select from permissions p where p.name = permission) then
        reason := 'unknown_permission';
        return;
    end if;

    select o.pattern into pattern
    from active_overrides(user_id, 'deny', at) o
    where covers(o.pattern, permission)
    order by o.pattern collate "C"
    limit 1;
    if found then
        reason := 'explicit_deny';
        return;
    end if;

    reason := 'no_grant';
    if user_is_active(user_id) is not true then
        return;
    end if;

    select o.pattern into pattern
    from active_overrides(user_id, 'allow', at) o
    where covers(o.pattern, permission)
    order by o.pattern collate "C"
    limit 1;
    if found then
        allowed := true;
        reason := 'override';
        return;
    end if;

    select g.role, g.pattern into role, pattern
    from role_permissions g
    where g.role = any (array(select h.role from held_roles(roles) h)) and covers(g.pattern, permission)
    order by g.role, g.pattern
    limit 1;
    if found then
        allowed := true;
        reason := 'role';
    end if;
end
$$;

-- The decision for a user with the roles the legacy database gives.
create function decide(
    user_id text, permission text, at timestamptz default now(),
    out allowed boolean, out reason text, out role text, out pattern text
)
language plpgsql stable parallel safe security definer
set search_path from current
set row_security = off
set plan_cache_mode = force_generic_plan
as $$
begin
    select d.allowed, d.reason, d.role, d.pattern
    into allowed, reason, role, pattern
    from decide_roles(user_id, array(select r from user_roles(user_id) r), permission, at) d;
end
$$;

-- Whether a user holds a permission now. Never null: what cannot be decided is denied.
create function has_permission(user_id text, permission text) returns boolean
language plpgsql stable parallel safe security definer
set search_path from current
set row_security = off
set plan_cache_mode = force_generic_plan
as $$
begin
    return (
        select d.allowed
        from decide_roles(user_id, array(select r from user_roles(user_id) r), permission, now()) d
    );
end
$$;

-- Every permission a user holds, in byte order.
create function effective_permissions(user_id text, at timestamptz default now()) returns setof text
language plpgsql stable parallel safe security definer
set search_path from current
set row_security = off
set plan_cache_mode = force_generic_plan
as $$
declare
    denied text[];
    granted text[];
begin
    if at is null or is_user_id(user_id) is not true or user_is_active(user_id) is not true then
        return;
    end if;
    denied := array(select o.pattern from active_overrides(user_id, 'deny', at) o);
    granted := array(
        select o.pattern from active_overrides(user_id, 'allow', at) o
        union
        select g.pattern
        from role_permissions g
        where g.role = any (array(
            select h.role from held_roles(array(select r from user_roles(user_id) r)) h
        ))
    );
    return query
        select p.name
        from permissions p
        where exists (select from unnest(granted) g where covers(g, p.name))
            and not exists (select from unnest(denied) d where covers(d, p.name))
        order by p.name;
end
$$;

-- Whoever may use the schema may ask; nothing else is for anybody but the owner.
revoke all on function
    user_roles(text),
    user_is_active(text),
    all_users(),
    covers(text, text),
    pattern_matches(text, text),
    held_roles(text[]),
    active_overrides(text, text, timestamptz),
    decide_roles(text, text[], text, timestamptz),
    decide(text, text, timestamptz),
    has_permission(text, text),
    effective_permissions(text, timestamptz)
from public;
grant execute on function
    is_permission(text),
    is_pattern(text),
    covers(text, text),
    pattern_matches(text, text),
    decide_roles(text, text[], text, timestamptz),
    decide(text, text, timestamptz),
    has_permission(text, text),
    effective_permissions(text, timestamptz)
to public;
