-- Users, roles and permissions in tables of their own, joined by others; roles may lie in roles, users may be denied
-- something. Nothing holds the tables together but the application.
CREATE SCHEMA app;
CREATE TABLE app.users (id integer PRIMARY KEY, active boolean NOT NULL DEFAULT true, root boolean);
CREATE TABLE app.roles (id integer PRIMARY KEY, name varchar(64) NOT NULL UNIQUE);
CREATE TABLE app.permissions (id integer PRIMARY KEY, area text NOT NULL, verb text);
CREATE TABLE app.user_roles (user_id bigint, role_id bigint);
CREATE TABLE app.role_parents (role_id integer, parent_id integer);
CREATE TABLE app.user_permissions (user_id integer, permission_id integer, granted boolean NOT NULL DEFAULT true);
CREATE INDEX ON app.user_roles (user_id);
INSERT INTO app.users (id, active, root) VALUES (1, true, true), (2, true, false), (3, true, NULL), (4, false, true), (5, true, false);
INSERT INTO app.roles VALUES (1, 'head'), (2, 'buyer'), (3, 'reader');
INSERT INTO app.role_parents VALUES (1, 2), (2, 3);
INSERT INTO app.user_roles VALUES (2, 1), (3, 2), (3, 2), (4, 1);
INSERT INTO app.permissions VALUES (1, 'orders', 'view'), (2, 'orders', 'create'), (3, 'orders', 'approve');
INSERT INTO app.user_permissions VALUES (5, 1, true), (5, 1, true), (3, 2, false), (4, 3, true);
