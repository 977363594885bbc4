-- 750,000 rows, the same for the same seed: the session has called setseed(). Powers of random() skew
-- the choice, so that a few users, sellers and categories have most of the rows.
INSERT INTO users
SELECT i, 'User' || i || '@' || (ARRAY['Example.com', 'mail.test', 'shop.test'])[1 + i % 3], 'user ' || i,
       (ARRAY['US', 'US', 'GB', 'DE', 'FR', 'ES', 'JP'])[1 + floor(random() * 7)::int],
       timestamptz '2026-01-01 00:00+00' - random() * interval '1500 days'
  FROM generate_series(1, 20000) i;

INSERT INTO categories SELECT i, 'Category ' || i FROM generate_series(1, 200) i;

INSERT INTO listings
SELECT i, 1 + floor(power(random(), 2) * 5000)::bigint, 1 + floor(power(random(), 1.5) * 200)::bigint,
       (ARRAY['vintage', 'new', 'used', 'rare', 'handmade', 'refurbished'])[1 + floor(random() * 6)::int] || ' ' ||
       (ARRAY['camera', 'bicycle', 'guitar', 'sofa', 'laptop', 'jacket', 'watch', 'lamp', 'phone', 'table'])[1 + floor(random() * 10)::int] || ' ' ||
       substr(md5(random()::text), 1, 6),
       repeat(md5(random()::text) || ' ', 4),
       (exp(random() * 8) * 100)::int,
       CASE WHEN r < 0.55 THEN 'sold' WHEN r < 0.90 THEN 'active' WHEN r < 0.98 THEN 'expired' ELSE 'flagged' END,
       floor(exp(random() * 7))::int,
       timestamptz '2026-01-01 00:00+00' - random() * interval '700 days'
  FROM (SELECT i, random() AS r FROM generate_series(1, 180000) i) s;

INSERT INTO orders
SELECT i, 1 + floor(power(random(), 1.5) * 20000)::bigint,
       CASE WHEN r < 0.80 THEN 'completed' WHEN r < 0.90 THEN 'shipped' WHEN r < 0.96 THEN 'cancelled' ELSE 'paid' END,
       (exp(random() * 8) * 100)::int, timestamptz '2026-01-01 00:00+00' - random() * interval '700 days'
  FROM (SELECT i, random() AS r FROM generate_series(1, 110000) i) s;

INSERT INTO order_items
SELECT i, 1 + floor(random() * 110000)::bigint, 1 + floor(random() * 180000)::bigint,
       1 + floor(random() * 3)::int, (exp(random() * 8) * 100)::int
  FROM generate_series(1, 160000) i;

INSERT INTO messages (id, sender_id, recipient_id, listing_id, body, read_at, created_at)
SELECT i, 1 + floor(power(random(), 1.5) * 20000)::bigint, 1 + floor(power(random(), 1.5) * 20000)::bigint,
       1 + floor(random() * 180000)::bigint, repeat(md5(random()::text), 3),
       CASE WHEN random() < 0.95 THEN timestamptz '2026-01-01 00:00+00' END,
       timestamptz '2026-01-01 00:00+00' - random() * interval '700 days'
  FROM generate_series(1, 150000) i;
SELECT setval(pg_get_serial_sequence('messages', 'id'), 150000);

INSERT INTO reviews
SELECT i, 1 + floor(random() * 180000)::bigint, 1 + floor(random() * 20000)::bigint,
       1 + floor(power(random(), 2) * 5000)::bigint, 1 + floor(power(random(), 0.4) * 5)::int,
       repeat(md5(random()::text), 2), timestamptz '2026-01-01 00:00+00' - random() * interval '700 days'
  FROM generate_series(1, 60000) i;

INSERT INTO favorites
SELECT DISTINCT ON (u, l) u, l, timestamptz '2026-01-01 00:00+00' - random() * interval '500 days'
  FROM (SELECT 1 + floor(power(random(), 1.5) * 20000)::bigint AS u, 1 + floor(power(random(), 2) * 180000)::bigint AS l
          FROM generate_series(1, 80000)) s;

-- Keys after the rows: faster, and as a migration of such a project would have it. No index with them.
ALTER TABLE listings ADD CONSTRAINT listings_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES users;
ALTER TABLE listings ADD CONSTRAINT listings_category_id_fkey FOREIGN KEY (category_id) REFERENCES categories;
ALTER TABLE orders ADD CONSTRAINT orders_buyer_id_fkey FOREIGN KEY (buyer_id) REFERENCES users;
ALTER TABLE order_items ADD CONSTRAINT order_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE order_items ADD CONSTRAINT order_items_listing_id_fkey FOREIGN KEY (listing_id) REFERENCES listings;
ALTER TABLE messages ADD CONSTRAINT messages_sender_id_fkey FOREIGN KEY (sender_id) REFERENCES users;
ALTER TABLE messages ADD CONSTRAINT messages_recipient_id_fkey FOREIGN KEY (recipient_id) REFERENCES users;
ALTER TABLE messages ADD CONSTRAINT messages_listing_id_fkey FOREIGN KEY (listing_id) REFERENCES listings;
ALTER TABLE reviews ADD CONSTRAINT reviews_listing_id_fkey FOREIGN KEY (listing_id) REFERENCES listings;
ALTER TABLE reviews ADD CONSTRAINT reviews_author_id_fkey FOREIGN KEY (author_id) REFERENCES users;
ALTER TABLE reviews ADD CONSTRAINT reviews_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES users;
ALTER TABLE favorites ADD CONSTRAINT favorites_user_id_fkey FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE favorites ADD CONSTRAINT favorites_listing_id_fkey FOREIGN KEY (listing_id) REFERENCES listings;
