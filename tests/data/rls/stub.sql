-- Supabase-shaped stub for plain PG15 (roles are cluster wide: create if missing)
do $$ begin
 if not exists(select 1 from pg_roles where rolname='anon') then create role anon nologin noinherit; end if;
 if not exists(select 1 from pg_roles where rolname='authenticated') then create role authenticated nologin noinherit; end if;
 if not exists(select 1 from pg_roles where rolname='service_role') then create role service_role nologin noinherit bypassrls; end if;
 if not exists(select 1 from pg_roles where rolname='supabase_auth_admin') then create role supabase_auth_admin nologin noinherit; end if;
 if not exists(select 1 from pg_roles where rolname='authenticator') then create role authenticator login noinherit; grant anon,authenticated,service_role to authenticator; end if;
 if not exists(select 1 from pg_roles where rolname='app_owner') then create role app_owner login; end if;
end $$;
create schema if not exists auth; create schema if not exists extensions; create schema if not exists storage;
create table if not exists auth.users(id uuid primary key default gen_random_uuid(), email text, raw_user_meta_data jsonb default '{}', raw_app_meta_data jsonb default '{}', created_at timestamptz default now());
create or replace function auth.uid() returns uuid language sql stable as $$ select coalesce(nullif(current_setting('request.jwt.claim.sub',true),''), (nullif(current_setting('request.jwt.claims',true),'')::jsonb->>'sub'))::uuid $$;
create or replace function auth.role() returns text language sql stable as $$ select coalesce(nullif(current_setting('request.jwt.claim.role',true),''), (nullif(current_setting('request.jwt.claims',true),'')::jsonb->>'role'))::text $$;
create or replace function auth.jwt() returns jsonb language sql stable as $$ select coalesce(nullif(current_setting('request.jwt.claim',true),''), nullif(current_setting('request.jwt.claims',true),''))::jsonb $$;
create or replace function auth.email() returns text language sql stable as $$ select (nullif(current_setting('request.jwt.claims',true),'')::jsonb->>'email')::text $$;
create table if not exists storage.buckets(id text primary key, name text, owner uuid, public bool default false, created_at timestamptz default now(), file_size_limit bigint, allowed_mime_types text[]);
create table if not exists storage.objects(id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets(id), name text, owner uuid, metadata jsonb, created_at timestamptz default now());
alter table storage.objects enable row level security;
create or replace function storage.foldername(n text) returns text[] language sql immutable as $$ select string_to_array(n,'/') $$;
grant usage on schema public, auth, storage, extensions to anon, authenticated, service_role;
grant execute on all functions in schema auth to anon, authenticated, service_role;
grant all on all tables in schema storage to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant execute on functions to anon, authenticated, service_role;
