-- What the enforcer answers by the model above legacy.sql: some allow matches and no deny does. keyMatch compares what
-- stands before the first `*`.
WITH RECURSIVE has (subject, role) AS (
    SELECT v0, v0 FROM casbin_rule WHERE ptype = 'g'
    UNION SELECT h.subject, g.v1 FROM has h JOIN casbin_rule g ON g.ptype = 'g' AND g.v0 = h.role
),
asked AS (
    SELECT DISTINCT v1 AS object, v2 AS action FROM casbin_rule WHERE ptype = 'p' AND v1 !~ '[*]' AND v2 <> '*'
),
matching AS (
    SELECT h.subject, a.object, a.action, p.v3 AS effect
    FROM has h JOIN casbin_rule p ON p.ptype = 'p' AND p.v0 = h.role, asked a
    WHERE p.v2 IN (a.action, '*')
      AND CASE WHEN strpos(p.v1, '*') = 0 THEN a.object = p.v1
               ELSE starts_with(a.object, split_part(p.v1, '*', 1)) END
)
SELECT subject AS user_id, replace(ltrim(object, '/'), '/', '.') || '.' || action AS permission
FROM matching
WHERE subject NOT LIKE 'role:%'
GROUP BY subject, object, action
HAVING bool_or(effect = 'allow') AND NOT bool_or(effect = 'deny')
