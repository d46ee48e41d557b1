-- The roles in the tokens of users who are enabled: those given to them and to their groups and the groups above, and
-- all that these are composed of.
WITH RECURSIVE member (user_id, group_id) AS (
    SELECT user_id, group_id FROM user_group_membership
    UNION
    SELECT m.user_id, g.parent_group FROM member m JOIN keycloak_group g ON g.id = m.group_id
),
given (user_id, role_id) AS (
    SELECT user_id, role_id FROM user_role_mapping
    UNION SELECT m.user_id, r.role_id FROM member m JOIN group_role_mapping r USING (group_id)
),
held (user_id, role_id) AS (
    SELECT user_id, role_id FROM given
    UNION SELECT h.user_id, c.child_role FROM held h JOIN composite_role c ON c.composite = h.role_id
)
SELECT u.id AS user_id, r.name AS role
FROM user_entity u JOIN held h ON h.user_id = u.id JOIN keycloak_role r ON r.id = h.role_id
WHERE u.enabled
