-- A database to be advised: states, skew, documents, a view, odd names, a partitioned table.
SELECT setseed(0.5);
CREATE SCHEMA "Sales";
CREATE TABLE people (
    id bigint PRIMARY KEY, email varchar(80) NOT NULL, country char(2) NOT NULL, joined timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE TABLE "Sales"."Items" (
    "Id" bigint PRIMARY KEY, "ownerId" bigint NOT NULL REFERENCES people, status text NOT NULL, title text NOT NULL,
    tags text[] NOT NULL, attrs jsonb NOT NULL, price numeric(10, 2) NOT NULL, filler text NOT NULL,
    listed_at timestamptz NOT NULL
);
CREATE TABLE visits (id bigint NOT NULL, person_id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO people SELECT i, 'P' || i || '@mail.test', (ARRAY['DE', 'FR', 'US'])[1 + i % 3], timestamptz '2026-01-01 00:00+00' - i * interval '1 hour',
       CASE WHEN i % 10 = 0 THEN timestamptz '2026-01-01 00:00+00' END FROM generate_series(1, 20000) i;
INSERT INTO "Sales"."Items"
SELECT i, 1 + floor(power(random(), 2) * 20000), (ARRAY['sold', 'sold', 'sold', 'sold', 'sold', 'sold', 'sold', 'open', 'open', 'held'])[1 + i % 10],
       'item ' || md5(i::text), ARRAY['t' || i % 50, 't' || i % 997], jsonb_build_object('brand', 'b' || i % 200, 'size', i % 7),
       (i % 10000) / 100.0, repeat('x', 150), timestamptz '2026-01-01 00:00+00' - i * interval '5 minutes'
  FROM generate_series(1, 60000) i;
INSERT INTO visits SELECT i, 1 + i % 5000, date '2026-01-01' + (i % 58) FROM generate_series(1, 40000) i;
CREATE VIEW open_items AS
    SELECT "Id" AS item_id, "ownerId" AS owner_id, title, listed_at AS listed FROM "Sales"."Items" WHERE status = 'open';
VACUUM (ANALYZE);
