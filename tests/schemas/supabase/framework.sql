-- What authorize() of the guide answers for each role of the user, of users who are not banned.
SELECT u.id::text AS user_id, p.permission::text AS permission
FROM auth.users u JOIN public.user_roles r ON r.user_id = u.id JOIN public.role_permissions p ON p.role = r.role
WHERE u.banned_until IS NULL OR u.banned_until <= now()
GROUP BY 1, 2
