-- The table of Casbin's adapters. The model (model.conf of the application) is RBAC with `eft` and keyMatch:
--
--   p = sub, obj, act, eft
--   g = _, _
--   e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
--   m = g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && (r.act == p.act || p.act == "*")

CREATE TABLE public.casbin_rule (
    id     serial PRIMARY KEY,
    ptype  varchar(100) NOT NULL,
    v0     varchar(100) NOT NULL DEFAULT '',
    v1     varchar(100) NOT NULL DEFAULT '',
    v2     varchar(100) NOT NULL DEFAULT '',
    v3     varchar(100) NOT NULL DEFAULT '',
    v4     varchar(100) NOT NULL DEFAULT '',
    v5     varchar(100) NOT NULL DEFAULT ''
);

INSERT INTO public.casbin_rule (ptype, v0, v1, v2, v3) VALUES
    ('p', 'role:reader', '/articles/list', 'read', 'allow'),
    ('p', 'role:reader', '/articles/item', 'read', 'allow'),
    ('p', 'role:editor', '/articles/item', 'write', 'allow'),
    ('p', 'role:editor', '/articles/*', 'read', 'allow'),
    ('p', 'role:admin', '/users', 'write', 'allow'),
    ('p', 'role:admin', '/users', 'read', 'allow'),
    ('p', 'role:admin', '/*', '*', 'allow'),
    -- Of users themselves.
    ('p', 'dora', '/articles/item', 'write', 'allow'),
    ('p', 'carl', '/users', 'write', 'deny');
INSERT INTO public.casbin_rule (ptype, v0, v1) VALUES
    ('g', 'anna', 'role:admin'), ('g', 'ben', 'role:editor'), ('g', 'carl', 'role:admin'), ('g', 'dora', 'role:reader'),
    ('g', 'role:editor', 'role:reader');
