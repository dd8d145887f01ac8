-- Retention of what is no hypertable; TimescaleDB runs it where keep_years is configured.

CREATE PROCEDURE forget_heads(job_id int, config jsonb)
    LANGUAGE sql
AS $$
    DELETE FROM event_heads
    WHERE occurred_at < now() - make_interval(
        years => (config->>'keep_years')::int, days => (config->>'horizon_days')::int)
$$;
COMMENT ON PROCEDURE forget_heads IS 'Deletes the heads of events that retention has deleted';
