-- Every transaction that holds a lock of the table `locks` ends 10 s after the last word of its
-- client, those that take the lock inside roll_up_facilities and roll_up_batches too. The same value
-- is HOLDING in streams/store/limits.py.

CREATE OR REPLACE FUNCTION hold_lock(in_name text) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('idle_in_transaction_session_timeout', '10s', true);
    PERFORM FROM locks l WHERE l.name = in_name FOR UPDATE;
    IF NOT FOUND THEN
        -- Restored without its rows.
        INSERT INTO locks (name) VALUES (in_name) ON CONFLICT DO NOTHING;
        PERFORM FROM locks l WHERE l.name = in_name FOR UPDATE;
    END IF;
END
$$;
COMMENT ON FUNCTION hold_lock IS
    'Holds a lock until the transaction ends, at most 10 s after the last word of its client; needs UPDATE on locks';
