-- A marketplace with labelled defects (D01 to D26); tests/postgres/access/audit.rs says which rule names which.
create table public.profiles(id uuid primary key references auth.users, display_name text, email text, phone text, role text not null default 'buyer', created_at timestamptz default now());
create table public.categories(id int generated always as identity primary key, slug text unique, name text);
create table public.listings(id bigint generated always as identity primary key, seller_id uuid not null references public.profiles(id), category_id int references public.categories(id), title text not null, description text, status text not null default 'active', price_cents int not null, created_at timestamptz not null default now());
create table public.listing_images(id bigint generated always as identity primary key, listing_id bigint not null references public.listings(id), url text not null, position int);
create table public.orders(id bigint generated always as identity primary key, buyer_id uuid not null references public.profiles(id), seller_id uuid not null references public.profiles(id), status text not null default 'pending', total_cents int, ship_address text, created_at timestamptz default now());
create table public.order_items(id bigint generated always as identity primary key, order_id bigint not null references public.orders(id), listing_id bigint references public.listings(id), qty int, price_cents int);
create table public.messages(id bigint generated always as identity primary key, sender_id uuid not null references public.profiles(id), recipient_id uuid not null references public.profiles(id), listing_id bigint references public.listings(id), body text, created_at timestamptz default now());
create table public.reviews(id bigint generated always as identity primary key, listing_id bigint references public.listings(id), user_id uuid references public.profiles(id), rating int, body text, created_at timestamptz default now());
create table public.favorites(user_id uuid references public.profiles(id), listing_id bigint references public.listings(id), primary key(user_id, listing_id));
create table public.payouts(id bigint generated always as identity primary key, seller_id uuid references public.profiles(id), amount_cents int, iban text, created_at timestamptz default now());
create table public.cart_items(id bigint generated always as identity primary key, user_id uuid not null references public.profiles(id), listing_id bigint references public.listings(id), qty int);
create table public.notifications(id bigint generated always as identity primary key, user_id uuid not null, body text, read bool default false);
create table public.audit_log(id bigint generated always as identity primary key, actor uuid, action text, at timestamptz default now());
create table public.coupons(id bigint generated always as identity primary key, seller_id uuid references public.profiles(id), code text unique, pct int);
create table public.addresses(id bigint generated always as identity primary key, user_id uuid not null references public.profiles(id), line1 text, city text);
create table public.shops(id uuid primary key default gen_random_uuid(), owner_id uuid not null references public.profiles(id), name text);
create table public.shop_members(shop_id uuid references public.shops(id), user_id uuid references public.profiles(id), role text, primary key(shop_id,user_id));
create table public.disputes(id bigint generated always as identity primary key, order_id bigint references public.orders(id), opened_by uuid references public.profiles(id), reason text);

-- D01 profiles: no RLS with PII                           (RLS off)
-- D02 orders: RLS off (private orders)
-- D03 order_items: RLS off, tenant only through orders.buyer_id (join derived)
-- categories: legit lookup (public read) RLS off but anon can WRITE: D04
-- listings: RLS on
alter table public.listings enable row level security;
create policy listings_read on public.listings for select using (true);                                   -- OK public read (no draft filter: design question)
create policy listings_ins on public.listings for insert to authenticated with check (seller_id = auth.uid()); -- OK, D05 per-row auth.uid()
create policy listings_upd on public.listings for update to authenticated using (auth.uid() is not null);  -- D06 any logged-in user may update any listing
create policy listings_del on public.listings for delete to authenticated using (seller_id = auth.uid());  -- D07 seller_id unindexed
-- D08 listing_images: RLS enabled, no policy (app breaks / deny all)
alter table public.listing_images enable row level security;
-- D09 messages: USING(true)
alter table public.messages enable row level security;
create policy messages_all on public.messages for all to authenticated using (true) with check (sender_id = auth.uid());
-- D10 reviews: insert WITH CHECK true => impersonate other user_id
alter table public.reviews enable row level security;
create policy reviews_read on public.reviews for select using (true);
create policy reviews_ins on public.reviews for insert to authenticated with check (true);
-- D11 favorites: UPDATE USING owner, WITH CHECK (true): can reassign rows
alter table public.favorites enable row level security;
create policy fav_sel on public.favorites for select to authenticated using (user_id = (select auth.uid()));
create policy fav_upd on public.favorites for update to authenticated using (user_id = (select auth.uid())) with check (true);
create policy fav_ins on public.favorites for insert to authenticated with check (user_id = (select auth.uid()));
create policy fav_del on public.favorites for delete to authenticated using (user_id = (select auth.uid()));
-- D12 payouts: inverted OR-null check leaks to anon
alter table public.payouts enable row level security;
create policy payouts_sel on public.payouts for select using (auth.uid() is null or seller_id = auth.uid());
-- D13 cart_items: policy created, RLS never enabled
create policy cart_own on public.cart_items for all to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
-- D14 notifications: user_metadata role
alter table public.notifications enable row level security;
create policy notif_sel on public.notifications for select to authenticated using (user_id = (select auth.uid()) or (auth.jwt()->'user_metadata'->>'role') = 'admin');
-- D15 audit_log : RLS off, should be admin only
-- D16 coupons: wrong column policy (scopes by id not seller): pct > 0 , semantically wrong
alter table public.coupons enable row level security;
create policy coupons_sel on public.coupons for select to authenticated using (pct > 0);
create policy coupons_upd on public.coupons for update to authenticated using (seller_id = (select auth.uid())); -- OK: no WITH CHECK => USING reused
-- addresses: correct table (control), index present, FORCE
alter table public.addresses enable row level security; alter table public.addresses force row level security;
create index on public.addresses(user_id);
create policy addr_own on public.addresses for all to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
-- D17 shops: membership with per-row correlated subquery, D18 shop_members recursive-ish / self-join tautology
alter table public.shops enable row level security;
create policy shops_read on public.shops for select to authenticated using (exists (select 1 from public.shop_members m where m.shop_id = m.shop_id and m.user_id = auth.uid()));  -- D17 tautology m.shop_id=m.shop_id => any member sees all shops
create policy shops_write on public.shops for update to authenticated using (owner_id = (select auth.uid()));
alter table public.shop_members enable row level security;
create policy sm_read on public.shop_members for select to authenticated using (user_id = (select auth.uid()));
create policy sm_ins on public.shop_members for insert to authenticated with check (user_id = (select auth.uid()));  -- D18 self-join: anyone can add himself to any shop as 'owner'
-- D19 disputes: buyer only policy; seller of the order missing & policy via join w/o index on disputes.order_id, correlated
alter table public.disputes enable row level security;
create policy disp_sel on public.disputes for select to authenticated using (auth.uid() in (select o.buyer_id from public.orders o where o.id = disputes.order_id));  -- D19 perf: correlated; correct isolation
-- D20 view without security_invoker over RLS table + D21 PII view over auth.users
create view public.seller_payout_summary as select seller_id, sum(amount_cents) total, max(iban) iban from public.payouts group by 1;
create view public.user_directory as select id, email from auth.users;
-- D22 materialized view of orders in api
create materialized view public.seller_stats as select seller_id, count(*) n, sum(total_cents) revenue from public.orders group by 1;
-- D23 SECURITY DEFINER without search_path, returns any user's messages
create function public.get_inbox(uid uuid) returns setof public.messages language sql security definer as $$ select * from public.messages where recipient_id = uid $$;
-- D24 profile role escalation: (needs RLS on profiles) update own role col; expressed on a second table
create table public.accounts(user_id uuid primary key references public.profiles(id), is_admin bool default false, balance_cents int default 0);
alter table public.accounts enable row level security;
create policy acc_sel on public.accounts for select to authenticated using (user_id = (select auth.uid()));
create policy acc_upd on public.accounts for update to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid())); -- D24 user can set is_admin / balance
-- D25 order_notes: update policy on wrong party; any seller may see all orders' notes (joined by seller role not by order)
create table public.order_notes(id bigint generated always as identity primary key, order_id bigint references public.orders(id), author_id uuid references public.profiles(id), note text);
alter table public.order_notes enable row level security;
create policy on_sel on public.order_notes for select to authenticated using (exists(select 1 from public.orders o where o.seller_id = auth.uid()));  -- D25 missing correlation to order_notes.order_id
-- D26 IMMUTABLE helper reading session
create function public.me() returns uuid language sql immutable as $$ select current_setting('request.jwt.claim.sub', true)::uuid $$;
create table public.saved_searches(id bigint generated always as identity primary key, user_id uuid not null, q text);
alter table public.saved_searches enable row level security;
create policy ss_own on public.saved_searches for all to authenticated using (user_id = public.me());
