-- The claims of the type `permission` that the claims principal gets, of users who are not locked out.
SELECT u."Id" AS user_id, lower(c.value) AS permission
FROM "AspNetUsers" u JOIN (
    SELECT "UserId" AS id, "ClaimValue" AS value FROM "AspNetUserClaims" WHERE "ClaimType" = 'permission'
    UNION
    SELECT m."UserId", r."ClaimValue" FROM "AspNetUserRoles" m JOIN "AspNetRoleClaims" r USING ("RoleId")
    WHERE r."ClaimType" = 'permission'
) c ON c.id = u."Id"
WHERE NOT coalesce(u."LockoutEnabled" AND u."LockoutEnd" > now(), false)
