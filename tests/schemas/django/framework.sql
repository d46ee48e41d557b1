-- What user.has_perm() answers: everything to an active superuser; to others who are active, what they and their groups hold.
SELECT u.id::text AS user_id, t.app_label || '.' || p.codename AS permission
FROM auth_user u, auth_permission p JOIN django_content_type t ON t.id = p.content_type_id
WHERE u.is_active AND (
    u.is_superuser
    OR EXISTS (SELECT FROM auth_user_user_permissions o WHERE o.user_id = u.id AND o.permission_id = p.id)
    OR EXISTS (SELECT FROM auth_user_groups m JOIN auth_group_permissions g USING (group_id)
               WHERE m.user_id = u.id AND g.permission_id = p.id))
