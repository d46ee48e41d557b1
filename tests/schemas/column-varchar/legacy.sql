-- One role a user, as text; the users are known by their names. Some texts are empty, and some users are deleted softly.
CREATE TABLE public.accounts (
    login       varchar(40) PRIMARY KEY,
    role        varchar(30),
    deleted_at  timestamp
);
INSERT INTO public.accounts VALUES
    ('mona', 'manager', NULL), ('carl', 'clerk', NULL), ('gone', 'manager', '2025-03-01'), ('O''Neil; --', 'clerk', NULL);
