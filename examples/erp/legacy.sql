-- The legacy database of the ERP, with synthetic people only.
--
--   psql -1 -v ON_ERROR_STOP=1 -f legacy.sql                                          10,000 users
--   PGOPTIONS='-c erp.users=500 -c erp.seed=7' psql -1 -v ON_ERROR_STOP=1 -f legacy.sql
--
-- erp.users   how many users there are; from 22 on every role occurs
-- erp.seed    another seed, other people; the same seed and number give the same rows on every machine
--
-- Chance is md5, which gives the same on every version and platform. No statement reads the clock.

-- The labels are the member names of the application's enumeration, as SQLAlchemy writes them.
CREATE TYPE public.userrole AS ENUM (
    'DEVELOPER', 'SUPERADMIN', 'MANAGER', 'FINANCE_MANAGER', 'ADMIN',
    'PPIC_MANAGER', 'PPIC_ADMIN', 'SPV_CUTTING', 'SPV_SEWING', 'SPV_FINISHING',
    'WAREHOUSE_ADMIN', 'WAREHOUSE_STAFF', 'QC_LAB', 'QC_INSPECTOR', 'PURCHASING_HEAD', 'PURCHASING',
    'OPERATOR_CUT', 'OPERATOR_EMBRO', 'OPERATOR_SEW', 'OPERATOR_FINISH', 'OPERATOR_PACK', 'SECURITY'
);

CREATE TABLE public.users (
    id                    serial PRIMARY KEY,
    username              varchar(50) NOT NULL,
    email                 varchar(100) NOT NULL,
    hashed_password       varchar(255) NOT NULL,
    full_name             varchar(100) NOT NULL,
    role                  public.userrole NOT NULL,
    department            varchar(50),
    is_active             boolean,
    is_verified           boolean,
    created_at            timestamptz,
    last_login            timestamptz,
    last_password_change  timestamptz,
    locked_until          timestamptz,
    login_attempts        integer
);

CREATE TABLE public.purchase_orders (
    id            serial PRIMARY KEY,
    number        varchar(20) NOT NULL UNIQUE,
    requested_by  integer NOT NULL REFERENCES public.users (id),
    approved_by   integer REFERENCES public.users (id),
    amount        numeric(12, 2) NOT NULL CHECK (amount > 0),
    created_at    timestamptz NOT NULL
);

CREATE TABLE public.cutting_orders (
    id           serial PRIMARY KEY,
    operator_id  integer NOT NULL REFERENCES public.users (id),
    pieces       integer NOT NULL CHECK (pieces > 0),
    started_at   timestamptz NOT NULL
);

-- Users 1 to 22 hold one role each and are active; user 1 is the administrator. All others hold roles in the
-- proportions of a factory: `share` of 1,000 people. About 4 in 100 are inactive and 2 in 100 are neither.
WITH settings AS (
    SELECT coalesce(nullif(current_setting('erp.users', true), ''), '10000')::integer AS users,
           coalesce(nullif(current_setting('erp.seed', true), ''), '1') AS seed
),
shares (place, role, department, share) AS (
    VALUES
        (1, 'SUPERADMIN', 'IT', 1),
        (2, 'DEVELOPER', 'IT', 3),
        (3, 'MANAGER', 'Management', 10),
        (4, 'FINANCE_MANAGER', 'Finance', 3),
        (5, 'ADMIN', 'IT', 8),
        (6, 'PPIC_MANAGER', 'PPIC', 4),
        (7, 'PPIC_ADMIN', 'PPIC', 14),
        (8, 'SPV_CUTTING', 'Cutting', 9),
        (9, 'SPV_SEWING', 'Sewing', 22),
        (10, 'SPV_FINISHING', 'Finishing', 12),
        (11, 'WAREHOUSE_ADMIN', 'Warehouse', 8),
        (12, 'WAREHOUSE_STAFF', 'Warehouse', 60),
        (13, 'QC_LAB', 'Quality', 8),
        (14, 'QC_INSPECTOR', 'Quality', 40),
        (15, 'PURCHASING_HEAD', 'Purchasing', 2),
        (16, 'PURCHASING', 'Purchasing', 18),
        (17, 'OPERATOR_CUT', 'Cutting', 120),
        (18, 'OPERATOR_EMBRO', 'Cutting', 60),
        (19, 'OPERATOR_SEW', 'Sewing', 360),
        (20, 'OPERATOR_FINISH', 'Finishing', 130),
        (21, 'OPERATOR_PACK', 'Finishing', 80),
        (22, 'SECURITY', 'Security', 28)
),
-- Each role's part of the numbers 0 to 999.
ranges AS (
    SELECT place, role, department,
           sum(share) OVER (ORDER BY place) - share AS low,
           sum(share) OVER (ORDER BY place) AS high
    FROM shares
),
-- One digest a person, cut into independent numbers. Materialised, or each number would be computed once a use.
digests AS MATERIALIZED (
    SELECT id, md5(settings.seed || ':user:' || id) AS digest
    FROM settings, generate_series(1, settings.users) AS id
),
chances AS MATERIALIZED (
    SELECT id,
           ('x' || substr(digest, 1, 6))::bit(24)::integer % 1000 AS role_chance,
           ('x' || substr(digest, 7, 4))::bit(16)::integer % 100 AS active_chance,
           ('x' || substr(digest, 11, 2))::bit(8)::integer % 20 AS first_name,
           ('x' || substr(digest, 13, 2))::bit(8)::integer % 20 AS last_name,
           ('x' || substr(digest, 15, 6))::bit(24)::integer AS created_chance,
           ('x' || substr(digest, 21, 6))::bit(24)::integer AS login_chance,
           ('x' || substr(digest, 27, 4))::bit(16)::integer AS lock_chance
    FROM digests
),
people AS (
    SELECT chances.*, ranges.role, ranges.department,
           (ARRAY['Adi', 'Agus', 'Ayu', 'Budi', 'Citra', 'Dewi', 'Dian', 'Eka', 'Fitri', 'Hadi',
                  'Indah', 'Joko', 'Lestari', 'Made', 'Nur', 'Putri', 'Rina', 'Sari', 'Tono', 'Wati'])[first_name + 1] AS first,
           (ARRAY['Anggraini', 'Firmansyah', 'Gunawan', 'Halim', 'Handayani', 'Hidayat', 'Kurniawan', 'Kusuma', 'Lubis',
                  'Maharani', 'Nugroho', 'Permana', 'Pratama', 'Puspita', 'Rahayu', 'Santoso', 'Setiawan', 'Utami',
                  'Wibowo', 'Wijaya'])[last_name + 1] AS last,
           timestamptz '2024-01-01 00:00:00+00' + created_chance % 63072000 * interval '1 second' AS created
    FROM chances
    JOIN ranges ON CASE WHEN id <= 22 THEN place = id ELSE role_chance >= low AND role_chance < high END
)
INSERT INTO public.users (id, username, email, hashed_password, full_name, role, department, is_active, is_verified,
                          created_at, last_login, last_password_change, locked_until, login_attempts)
SELECT id,
       CASE WHEN id = 1 THEN 'admin' ELSE lower(first || '.' || last || '.' || id) END,
       CASE WHEN id = 1 THEN 'admin' ELSE lower(first || '.' || last || '.' || id) END || '@example.com',
       'no password: synthetic user',
       CASE WHEN id = 1 THEN 'Administrator' ELSE first || ' ' || last END,
       role::public.userrole,
       CASE WHEN lock_chance % 20 <> 0 THEN department END,
       CASE WHEN id <= 22 OR active_chance >= 6 THEN true WHEN active_chance >= 2 THEN false END,
       active_chance % 10 <> 7,
       created,
       CASE WHEN login_chance % 50 <> 0 THEN created + login_chance % 7776000 * interval '1 second' END,
       created,
       CASE WHEN id > 22 AND lock_chance % 200 = 1 THEN timestamptz '2026-01-01 00:00:00+00' END,
       CASE WHEN lock_chance % 200 = 1 THEN 5 WHEN lock_chance % 3 <> 0 THEN 0 END
FROM people
ORDER BY id;

SELECT setval('public.users_id_seq', greatest((SELECT max(id) FROM public.users), 1));

-- After the rows, which is quicker; the names are those that SQLAlchemy gives.
ALTER TABLE public.users ADD CONSTRAINT users_username_key UNIQUE (username), ADD CONSTRAINT users_email_key UNIQUE (email);
CREATE INDEX ix_users_role ON public.users (role);

-- Rows that refer to users, and a view over them: nothing of this may be touched by a migration or its way back.
INSERT INTO public.purchase_orders (number, requested_by, approved_by, amount, created_at)
SELECT 'PO-' || lpad(users.id::text, greatest(length(users.id::text), 6), '0') || '-' || lpad(copy::text, 2, '0'),
       users.id,
       CASE WHEN copy % 3 <> 0 THEN (SELECT min(id) FROM public.users WHERE role = 'PURCHASING_HEAD') END,
       (('x' || substr(md5(users.username || copy), 1, 6))::bit(24)::integer % 5000000 + 1000) / 100.0,
       users.created_at + copy * interval '1 day'
FROM public.users, generate_series(1, 10) AS copy
WHERE users.role IN ('PURCHASING', 'PURCHASING_HEAD')
ORDER BY users.id, copy;

INSERT INTO public.cutting_orders (operator_id, pieces, started_at)
SELECT id, id % 400 + 20, created_at + interval '7 hours'
FROM public.users
WHERE role = 'OPERATOR_CUT'
ORDER BY id;

CREATE VIEW public.staff AS
SELECT id, full_name, role::text AS role, department FROM public.users WHERE is_active;

ANALYZE public.users, public.purchase_orders, public.cutting_orders;
