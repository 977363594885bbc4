-- The functions of guard.sql report by an error of their own. It is seen by whoever executed the statement.
CREATE OR REPLACE FUNCTION spring(what text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN RAISE EXCEPTION '% was called', what USING ERRCODE = 'TR4P0'; END $$;
