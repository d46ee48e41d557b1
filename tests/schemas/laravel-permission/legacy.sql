-- spatie/laravel-permission with teams off, as `php artisan migrate` makes it on PostgreSQL, with synthetic people.

CREATE TABLE public.users (
    id                 bigserial PRIMARY KEY,
    name               varchar(255) NOT NULL,
    email              varchar(255) NOT NULL UNIQUE,
    email_verified_at  timestamp(0),
    password           varchar(255) NOT NULL,
    remember_token     varchar(100),
    created_at         timestamp(0),
    updated_at         timestamp(0),
    deleted_at         timestamp(0)
);
CREATE TABLE public.permissions (
    id          bigserial PRIMARY KEY,
    name        varchar(255) NOT NULL,
    guard_name  varchar(255) NOT NULL,
    created_at  timestamp(0),
    updated_at  timestamp(0),
    UNIQUE (name, guard_name)
);
CREATE TABLE public.roles (
    id          bigserial PRIMARY KEY,
    name        varchar(255) NOT NULL,
    guard_name  varchar(255) NOT NULL,
    created_at  timestamp(0),
    updated_at  timestamp(0),
    UNIQUE (name, guard_name)
);
CREATE TABLE public.model_has_permissions (
    permission_id  bigint NOT NULL REFERENCES public.permissions (id) ON DELETE CASCADE,
    model_type     varchar(255) NOT NULL,
    model_id       bigint NOT NULL,
    PRIMARY KEY (permission_id, model_id, model_type)
);
CREATE INDEX model_has_permissions_model_id_model_type_index ON public.model_has_permissions (model_id, model_type);
CREATE TABLE public.model_has_roles (
    role_id     bigint NOT NULL REFERENCES public.roles (id) ON DELETE CASCADE,
    model_type  varchar(255) NOT NULL,
    model_id    bigint NOT NULL,
    PRIMARY KEY (role_id, model_id, model_type)
);
CREATE INDEX model_has_roles_model_id_model_type_index ON public.model_has_roles (model_id, model_type);
CREATE TABLE public.role_has_permissions (
    permission_id  bigint NOT NULL REFERENCES public.permissions (id) ON DELETE CASCADE,
    role_id        bigint NOT NULL REFERENCES public.roles (id) ON DELETE CASCADE,
    PRIMARY KEY (permission_id, role_id)
);

INSERT INTO public.permissions (id, name, guard_name) VALUES
    (1, 'posts.view', 'web'), (2, 'posts.create', 'web'), (3, 'posts.edit', 'web'), (4, 'posts.delete', 'web'),
    (5, 'comments.view', 'web'), (6, 'comments.edit', 'web'), (7, 'publish articles', 'web'),
    -- Wildcards, which `enable_wildcard_permission` gives a meaning.
    (8, 'posts.*', 'web'), (9, 'posts,comments.view,edit', 'web'), (10, '*', 'web'),
    -- Another guard: another permission of the same name.
    (11, 'posts.view', 'api');
INSERT INTO public.roles (id, name, guard_name) VALUES
    (1, 'admin', 'web'), (2, 'editor', 'web'), (3, 'moderator', 'web'), (4, 'writer', 'web'), (5, 'reader', 'api');
INSERT INTO public.role_has_permissions (role_id, permission_id) VALUES
    (1, 10), (2, 8), (2, 7), (3, 9), (4, 1), (4, 2), (5, 11);
INSERT INTO public.users (id, name, email, password, deleted_at) VALUES
    (1, 'Ada', 'ada@example.com', '!', NULL), (2, 'Bo', 'bo@example.com', '!', NULL),
    (3, 'Cy', 'cy@example.com', '!', NULL), (4, 'Di', 'di@example.com', '!', NULL),
    (5, 'Ed', 'ed@example.com', '!', '2024-05-01T00:00:00'), (6, 'Fi', 'fi@example.com', '!', NULL);
INSERT INTO public.model_has_roles (role_id, model_type, model_id) VALUES
    (1, 'App\Models\User', 1), (2, 'App\Models\User', 2), (3, 'App\Models\User', 3), (4, 'App\Models\User', 3),
    (4, 'App\Models\User', 4), (2, 'App\Models\User', 5);
INSERT INTO public.model_has_permissions (permission_id, model_type, model_id) VALUES
    (7, 'App\Models\User', 4), (6, 'App\Models\User', 6);
