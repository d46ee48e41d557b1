-- Several roles a user, in a list of JSON; permissions of its own in another.
CREATE TABLE public.users (id text PRIMARY KEY, roles jsonb NOT NULL DEFAULT '[]', extra json);
INSERT INTO public.users VALUES
    ('mona', '["manager"]', NULL), ('carl', '["clerk", "cutter", "clerk"]', '["orders.approve"]'), ('nobody', '[]', '[]');
