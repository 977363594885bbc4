-- uuid keys, text natural keys, composite keys
create table customer(id uuid primary key, name text not null, country char(2), created_at timestamptz);
create table product(sku text primary key, title text not null, price numeric(10,2), stock int not null default 0);
create table purchase(id uuid primary key, customer uuid not null references customer(id), status text not null, placed_at timestamptz not null);
create table purchase_line(purchase uuid not null references purchase(id), line_no int not null, sku text not null references product(sku), qty int not null, primary key(purchase,line_no));
create table shipment(id uuid primary key, purchase uuid not null, line_no int not null, carrier text, foreign key(purchase,line_no) references purchase_line(purchase,line_no));
create table price_list(region text, sku text references product(sku), price numeric(10,2), primary key(region,sku));
create table auth_token(token uuid primary key, customer uuid not null references customer(id));
create table audit(id uuid primary key default gen_random_uuid(), entity uuid, what text, at timestamptz default now());
insert into customer select md5('c'||i)::uuid,'Customer '||i,(array['US','DE','JP'])[1+i%3],timestamptz '2024-01-01'+i*interval '1 hour' from generate_series(1,400) i;
insert into product select 'SKU-'||lpad(i::text,5,'0'),'Product '||i,(i%90)+.99,i%40 from generate_series(1,600) i;
insert into purchase select md5('p'||i)::uuid,md5('c'||1+(i*7)%400)::uuid,(array['new','paid','sent'])[1+i%3],timestamptz '2024-02-01'+i*interval '7 minutes' from generate_series(1,2000) i;
insert into purchase_line select md5('p'||1+i%2000)::uuid,1+i/2000,'SKU-'||lpad((1+(i*31)%600)::text,5,'0'),1+i%4 from generate_series(0,5999) i;
insert into shipment select md5('s'||purchase||line_no)::uuid,purchase,line_no,(array['UPS','DHL'])[1+line_no%2] from purchase_line;
insert into price_list select r,sku,price*1.1 from product, unnest(array['EU','US','APAC']) r;
insert into auth_token select md5('t'||i)::uuid,md5('c'||i)::uuid from generate_series(1,400) i;
create index on purchase(customer); create index on purchase_line(sku); create index on shipment(purchase,line_no);
analyze;
