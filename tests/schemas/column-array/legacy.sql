-- Several roles a user, in an array of PostgreSQL; one of them is there twice, and one user has none.
CREATE TYPE public.job AS ENUM ('manager', 'clerk', 'cutter');
CREATE TABLE public.users (id bigint PRIMARY KEY, roles public.job[], active boolean NOT NULL DEFAULT true);
INSERT INTO public.users (id, roles) VALUES
    (1, '{manager}'), (2, '{clerk,cutter,clerk}'), (3, '{}');
INSERT INTO public.users VALUES (4, '{manager}', false);
