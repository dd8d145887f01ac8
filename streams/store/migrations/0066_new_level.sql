-- Exceedances may end because the baseline took the counts in, while these are as high as before.
ALTER TABLE alerts ADD COLUMN new_level jsonb;
COMMENT ON COLUMN alerts.new_level IS
    'Where exceedances ended with counts far above what was expected when the alert began: rule, '
    'grain, since, before (expected then), now (counts), expected (now)';
