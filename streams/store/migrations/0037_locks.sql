-- Locks as rows of a table. Every role of a server may take any advisory lock of its database: the
-- role that dashboards read with could hold up judging, decisions and roll-ups for all.

CREATE TABLE locks (
    name text PRIMARY KEY CHECK (name IN ('judging', 'facilities', 'levels', 'alerts'))
);
COMMENT ON TABLE locks IS 'Rows that are locked by hold_lock, see streams/store/locks.py';
INSERT INTO locks (name) VALUES ('judging'), ('facilities'), ('levels'), ('alerts');

CREATE FUNCTION hold_lock(in_name text) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM locks l WHERE l.name = in_name FOR UPDATE;
    IF NOT FOUND THEN
        -- Restored without its rows.
        INSERT INTO locks (name) VALUES (in_name) ON CONFLICT DO NOTHING;
        PERFORM FROM locks l WHERE l.name = in_name FOR UPDATE;
    END IF;
END
$$;
COMMENT ON FUNCTION hold_lock IS 'Holds a lock until the transaction ends; needs UPDATE on locks';

-- The functions that took advisory locks, whatever their latest definition.
DO $$
DECLARE
    function  regprocedure;
    statement text;
BEGIN
    FOR function IN
        SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace
          AND p.prosrc LIKE '%pg\_advisory\_xact\_lock(510348100%'
    LOOP
        statement := pg_get_functiondef(function);
        statement := replace(statement, 'pg_advisory_xact_lock(5103481003)', 'hold_lock(''facilities'')');
        statement := replace(statement, 'pg_advisory_xact_lock(5103481004)', 'hold_lock(''levels'')');
        EXECUTE statement;
    END LOOP;
END
$$;
