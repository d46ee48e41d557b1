-- The tables that Apache Shiro's JdbcRealm asks, with synthetic people. Shiro leaves their definition to the application.

CREATE TABLE public.users (
    username       varchar(100) NOT NULL PRIMARY KEY,
    password       varchar(200) NOT NULL,
    password_salt  varchar(100)
);
CREATE TABLE public.user_roles (
    username   varchar(100) NOT NULL REFERENCES public.users (username),
    role_name  varchar(100) NOT NULL,
    PRIMARY KEY (username, role_name)
);
CREATE TABLE public.roles_permissions (
    role_name   varchar(100) NOT NULL,
    permission  varchar(200) NOT NULL,
    PRIMARY KEY (role_name, permission)
);

INSERT INTO public.users (username, password) VALUES ('ann', '!'), ('bob', '!'), ('cleo', '!'), ('dov', '!');
INSERT INTO public.roles_permissions (role_name, permission) VALUES
    ('visitor', 'printer:query'), ('clerk', 'printer:print'), ('clerk', 'printer:query'), ('clerk', 'scanner:use'),
    ('technician', 'printer:manage'), ('technician', 'scanner:manage'),
    -- Shiro's wildcards: subparts, a star, and a short one that means all below it.
    ('operator', 'printer:print,query'), ('auditor', '*:query'), ('keeper', 'printer'), ('root', '*');
INSERT INTO public.user_roles (username, role_name) VALUES
    ('ann', 'root'), ('bob', 'operator'), ('bob', 'clerk'), ('cleo', 'keeper'), ('cleo', 'auditor');
