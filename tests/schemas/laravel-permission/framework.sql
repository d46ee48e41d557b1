-- What $user->can() answers in the guard `web` with wildcards on, for users who are not deleted softly: some permission
-- that the user or a role of the user holds has no more parts than the one asked for, and each of its parts is a star or
-- has the part asked for among its subparts.
WITH held AS (
    SELECT m.model_id, p.name FROM model_has_permissions m JOIN permissions p ON p.id = m.permission_id
    WHERE m.model_type = 'App\Models\User' AND p.guard_name = 'web'
    UNION
    SELECT m.model_id, p.name FROM model_has_roles m JOIN roles r ON r.id = m.role_id
    JOIN role_has_permissions h USING (role_id) JOIN permissions p ON p.id = h.permission_id
    WHERE m.model_type = 'App\Models\User' AND p.guard_name = 'web' AND r.guard_name = 'web'
),
asked (name, ours) AS (
    SELECT name, CASE name WHEN 'publish articles' THEN 'articles.publish' ELSE name END
    FROM permissions WHERE guard_name = 'web' AND name !~ '[*,]'
)
SELECT u.id::text AS user_id, a.ours AS permission
FROM users u, asked a
WHERE u.deleted_at IS NULL AND EXISTS (
    SELECT FROM held h
    WHERE h.model_id = u.id
      AND cardinality(string_to_array(h.name, '.')) <= cardinality(string_to_array(a.name, '.'))
      AND NOT EXISTS (
          SELECT FROM unnest(string_to_array(h.name, '.')) WITH ORDINALITY part (text, place)
          WHERE '*' <> ALL (string_to_array(part.text, ','))
            AND split_part(a.name, '.', place::int) <> ALL (string_to_array(part.text, ','))))
