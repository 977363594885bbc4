-- A small marketplace: big enough that a scan and an index differ, small enough to copy in a moment.
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);
CREATE TABLE listings (
    id bigint PRIMARY KEY, seller_id bigint NOT NULL REFERENCES users, category_id int NOT NULL,
    title text NOT NULL, description text NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE orders (id bigint PRIMARY KEY, buyer_id bigint NOT NULL REFERENCES users, total_cents int NOT NULL);
INSERT INTO users SELECT i, 'user' || i || '@mail.test' FROM generate_series(1, 1000) i;
INSERT INTO listings
SELECT i, 1 + i % 1000, 1 + i * 7 % 200, 'listing ' || i, repeat('x', 200), timestamptz '2026-01-01 00:00+00' - i * interval '7 minutes'
  FROM generate_series(1, 40000) i;
INSERT INTO orders SELECT i, 1 + i % 1000, i FROM generate_series(1, 5000) i;
CREATE INDEX orders_buyer_id ON orders (buyer_id);
GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;
