-- One role a user, in a native enumeration: its labels are the member names of the application's class.
CREATE TYPE public.userrole AS ENUM ('MANAGER', 'CLERK', 'OPERATOR_CUT', 'AUDITOR');
CREATE TABLE public.users (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username   varchar(50) NOT NULL UNIQUE,
    role       public.userrole NOT NULL,
    is_active  boolean
);
INSERT INTO public.users (username, role, is_active) VALUES
    ('mona', 'MANAGER', true), ('carl', 'CLERK', true), ('olaf', 'OPERATOR_CUT', true),
    ('gone', 'MANAGER', false), ('unsaid', 'CLERK', NULL);
