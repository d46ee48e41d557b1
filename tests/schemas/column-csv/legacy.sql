-- Several roles a user, separated in one text, with blanks and commas that mean nothing.
CREATE TABLE public.users (id integer PRIMARY KEY, roles text);
INSERT INTO public.users VALUES (1, 'manager'), (2, ' clerk , cutter,,clerk,'), (3, 'Purchasing Head');
