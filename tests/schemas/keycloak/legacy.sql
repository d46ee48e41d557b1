-- The tables of a Keycloak 26 database that say who may do what, as Liquibase makes them, with synthetic people.

CREATE TABLE public.realm (
    id       varchar(36) NOT NULL PRIMARY KEY,
    enabled  boolean NOT NULL DEFAULT false,
    name     varchar(255) UNIQUE
);
CREATE TABLE public.client (
    id         varchar(36) NOT NULL PRIMARY KEY,
    enabled    boolean NOT NULL DEFAULT false,
    client_id  varchar(255),
    realm_id   varchar(36),
    UNIQUE (realm_id, client_id)
);
CREATE TABLE public.user_entity (
    id                           varchar(36) NOT NULL PRIMARY KEY,
    email                        varchar(255),
    email_constraint             varchar(255),
    email_verified               boolean NOT NULL DEFAULT false,
    enabled                      boolean NOT NULL DEFAULT false,
    federation_link              varchar(255),
    first_name                   varchar(255),
    last_name                    varchar(255),
    realm_id                     varchar(255),
    username                     varchar(255),
    created_timestamp            bigint,
    service_account_client_link  varchar(255),
    not_before                   integer NOT NULL DEFAULT 0,
    UNIQUE (realm_id, username)
);
CREATE TABLE public.keycloak_role (
    id                       varchar(36) NOT NULL PRIMARY KEY,
    client_realm_constraint  varchar(255),
    client_role              boolean NOT NULL DEFAULT false,
    description              varchar(255),
    name                     varchar(255),
    realm_id                 varchar(255),
    client                   varchar(36),
    realm                    varchar(36),
    UNIQUE (name, client_realm_constraint)
);
CREATE TABLE public.composite_role (
    composite   varchar(36) NOT NULL REFERENCES public.keycloak_role (id),
    child_role  varchar(36) NOT NULL REFERENCES public.keycloak_role (id),
    PRIMARY KEY (composite, child_role)
);
CREATE TABLE public.user_role_mapping (
    role_id  varchar(255) NOT NULL,
    user_id  varchar(36) NOT NULL REFERENCES public.user_entity (id),
    PRIMARY KEY (role_id, user_id)
);
CREATE TABLE public.keycloak_group (
    id            varchar(36) NOT NULL PRIMARY KEY,
    name          varchar(255),
    parent_group  varchar(36) NOT NULL,
    realm_id      varchar(36),
    type          integer NOT NULL DEFAULT 0,
    UNIQUE (realm_id, parent_group, name)
);
CREATE TABLE public.group_role_mapping (
    role_id   varchar(36) NOT NULL,
    group_id  varchar(36) NOT NULL REFERENCES public.keycloak_group (id),
    PRIMARY KEY (role_id, group_id)
);
CREATE TABLE public.user_group_membership (
    group_id         varchar(36) NOT NULL,
    user_id          varchar(36) NOT NULL REFERENCES public.user_entity (id),
    membership_type  varchar(255) NOT NULL DEFAULT 'UNMANAGED',
    PRIMARY KEY (group_id, user_id)
);

INSERT INTO public.realm (id, enabled, name) VALUES ('r-shop', true, 'shop');
INSERT INTO public.client (id, enabled, client_id, realm_id) VALUES
    ('c-account', true, 'account', 'r-shop'), ('c-orders', true, 'orders-api', 'r-shop');
INSERT INTO public.keycloak_role (id, client_realm_constraint, client_role, description, name, realm_id, client, realm) VALUES
    ('role-default', 'r-shop', false, '${role_default-roles}', 'default-roles-shop', 'r-shop', NULL, 'r-shop'),
    ('role-offline', 'r-shop', false, '${role_offline-access}', 'offline_access', 'r-shop', NULL, 'r-shop'),
    ('role-manager', 'r-shop', false, 'Runs the shop', 'manager', 'r-shop', NULL, 'r-shop'),
    ('role-clerk', 'r-shop', false, 'Serves customers', 'clerk', 'r-shop', NULL, 'r-shop'),
    ('role-profile', 'c-account', true, '${role_view-profile}', 'view-profile', 'r-shop', 'c-account', NULL),
    ('role-read', 'c-orders', true, NULL, 'orders-read', 'r-shop', 'c-orders', NULL),
    ('role-write', 'c-orders', true, NULL, 'orders-write', 'r-shop', 'c-orders', NULL);
-- manager is a clerk and may write; a clerk may read; everybody has the default roles.
INSERT INTO public.composite_role (composite, child_role) VALUES
    ('role-default', 'role-offline'), ('role-default', 'role-profile'),
    ('role-manager', 'role-clerk'), ('role-manager', 'role-write'), ('role-clerk', 'role-read');
-- A group at the top has a blank for its parent.
INSERT INTO public.keycloak_group (id, name, parent_group, realm_id) VALUES
    ('g-staff', 'staff', ' ', 'r-shop'), ('g-berlin', 'berlin', 'g-staff', 'r-shop'),
    ('g-leads', 'leads', 'g-berlin', 'r-shop');
INSERT INTO public.group_role_mapping (role_id, group_id) VALUES ('role-clerk', 'g-staff'), ('role-manager', 'g-leads');
INSERT INTO public.user_entity (id, enabled, realm_id, username, service_account_client_link) VALUES
    ('u-ana', true, 'r-shop', 'ana', NULL), ('u-bao', true, 'r-shop', 'bao', NULL), ('u-cem', true, 'r-shop', 'cem', NULL),
    ('u-dan', false, 'r-shop', 'dan', NULL), ('u-eve', true, 'r-shop', 'eve', NULL),
    ('u-robot', true, 'r-shop', 'service-account-orders-api', 'c-orders');
INSERT INTO public.user_role_mapping (role_id, user_id)
SELECT 'role-default', id FROM public.user_entity
UNION ALL VALUES ('role-manager', 'u-ana'), ('role-manager', 'u-dan'), ('role-write', 'u-robot');
INSERT INTO public.user_group_membership (group_id, user_id) VALUES ('g-berlin', 'u-bao'), ('g-leads', 'u-cem');
