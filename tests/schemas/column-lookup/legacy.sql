-- The number of a role in a column of the users, without a foreign key. The widths differ, as in tables that grew.
CREATE TABLE public.roles (id bigint PRIMARY KEY, title text NOT NULL UNIQUE);
CREATE TABLE public.users (
    id            uuid PRIMARY KEY,
    role_id       smallint,
    locked_until  timestamptz
);
INSERT INTO public.roles VALUES (1, 'Manager'), (2, 'Purchasing Head'), (3, 'Nobody yet');
INSERT INTO public.users VALUES
    ('00000000-0000-0000-0000-000000000001', 1, NULL),
    ('00000000-0000-0000-0000-000000000002', 2, '2020-01-01 00:00:00+00'),
    ('00000000-0000-0000-0000-000000000003', 2, '2999-01-01 00:00:00+00');
