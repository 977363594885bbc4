-- Functions that start a program of the system when somebody calls them who may: {effect} tells.
CREATE TABLE goods (id int PRIMARY KEY, seller int NOT NULL, name text NOT NULL);
INSERT INTO goods SELECT i, i % 50, 'n' || i FROM generate_series(1, 2000) i;
CREATE FUNCTION spring(what text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'cat > /dev/null; echo ' || what || ' >> {effect}');
  RETURN true;
EXCEPTION WHEN insufficient_privilege THEN RETURN true;
END $$;
CREATE FUNCTION calm(what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN length(what) > 0; END $$;

CREATE FUNCTION trap(i int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN spring('trap'); END $$;
CREATE FUNCTION safe(i int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN calm('safe'); END $$;
CREATE FUNCTION "MixedTrap"(i int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN spring('mixed'); END $$;
CREATE FUNCTION "MixedSafe"(i int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN calm('mixed'); END $$;
CREATE FUNCTION trapped(g goods) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN spring('attribute'); END $$;
CREATE FUNCTION saved(g goods) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN calm(g.name); END $$;
CREATE FUNCTION lies(i int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN spring('lie'); END $$;
CREATE FUNCTION by_default(i int, b boolean DEFAULT spring('default')) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT b';
CREATE FUNCTION by_constant(i int, b boolean DEFAULT true) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT b';

CREATE FUNCTION near(a int, b int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN spring('operator'); END $$;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = near, RESTRICT = eqsel);
CREATE FUNCTION far(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a < b';
CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = int, FUNCTION = far);

CREATE DOMAIN checked AS int CHECK (spring('domain'));
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE code AS (n int);
CREATE FUNCTION code_of(i int) RETURNS code LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM spring('cast'); RETURN ROW(i)::code; END $$;
CREATE CAST (int AS code) WITH FUNCTION code_of(int);

CREATE FUNCTION step(s int, i int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM spring('step'); RETURN s + i; END $$;
CREATE AGGREGATE loud(int) (SFUNC = step, STYPE = int, INITCOND = '0');
CREATE AGGREGATE quiet(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');

CREATE VIEW killing AS SELECT id, (SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a WHERE a.application_name = 'victim') AS dead FROM goods;
CREATE VIEW counting AS SELECT id, (SELECT count(*) FROM pg_stat_activity a WHERE a.application_name = 'victim') AS alive FROM goods;

CREATE TABLE owned (id int PRIMARY KEY, seller int);
INSERT INTO owned SELECT i, i % 50 FROM generate_series(1, 2000) i;
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON owned USING (spring('policy'));
CREATE TABLE kept (id int PRIMARY KEY, seller int);
INSERT INTO kept SELECT i, i % 50 FROM generate_series(1, 2000) i;
ALTER TABLE kept ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON kept USING (seller >= 0);

CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE outside (line text) SERVER files OPTIONS (program 'echo foreign >> {effect}; echo x');
ANALYZE goods, owned, kept;
