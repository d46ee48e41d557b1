-- What WildcardPermission.implies() answers over all roles of a user, in lower case: each part of the one that is held is
-- a star or has the part asked for among its subparts; parts that it does not have are given; those that the one asked
-- for does not have must be stars.
WITH held AS (
    SELECT u.username, lower(p.permission) AS name FROM user_roles u JOIN roles_permissions p USING (role_name)
),
asked AS (
    SELECT DISTINCT lower(permission) AS name FROM roles_permissions WHERE permission !~ '[*,]' AND permission LIKE '%:%'
)
SELECT u.username AS user_id, replace(a.name, ':', '.') AS permission
FROM users u, asked a
WHERE EXISTS (
    SELECT FROM held h
    WHERE h.username = u.username
      AND NOT EXISTS (
          SELECT FROM unnest(string_to_array(h.name, ':')) WITH ORDINALITY part (text, place)
          WHERE '*' <> ALL (string_to_array(part.text, ','))
            AND coalesce(nullif(split_part(a.name, ':', place::int), '') <> ALL (string_to_array(part.text, ',')), true)))
