-- The authorities that JdbcDaoImpl loads for users who are enabled, those of groups too, without the roles.
SELECT u.username AS user_id, replace(a.authority, ':', '.') AS permission
FROM users u JOIN (
    SELECT username, authority FROM authorities
    UNION SELECT m.username, g.authority FROM group_members m JOIN group_authorities g USING (group_id)
) a USING (username)
WHERE u.enabled AND a.authority NOT LIKE 'ROLE\_%'
