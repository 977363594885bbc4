DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_board') THEN CREATE ROLE app_board LOGIN; END IF; END $$;
CREATE TABLE accounts (id uuid PRIMARY KEY, email text);
CREATE TABLE boards (id int PRIMARY KEY, owner_id uuid NOT NULL REFERENCES accounts (id), title text);
CREATE TABLE cards (id int PRIMARY KEY, board_id int NOT NULL REFERENCES boards (id), text text);
INSERT INTO accounts SELECT md5('a' || i)::uuid, 'a' || i FROM generate_series(1, 15) i;
INSERT INTO boards SELECT i, md5('a' || 1 + i % 15)::uuid, 'b' || i FROM generate_series(1, 20) i;
INSERT INTO cards SELECT i, 1 + i % 20, 'c' || i FROM generate_series(1, 100) i;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app_board;
ANALYZE;
