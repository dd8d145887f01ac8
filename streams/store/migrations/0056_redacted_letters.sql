-- Refused records with personal data are stored without their value since 0.1.0; those from before are
-- redacted here. fenghuo dead-letters redact does the same for letters of other reasons, by the patterns.

ALTER TABLE dead_letters ADD COLUMN redacted_at timestamptz;
COMMENT ON COLUMN dead_letters.redacted_at IS
    'When the value was replaced by why; later than published_at: the dead-letter topic has a copy as it came';

UPDATE dead_letters d
SET redacted_at = d.refused_at
WHERE d.reason = 'personal_data'
  AND encode(d.value, 'escape') ~ '^\{"redacted": "[^"]*", "bytes": \d+\}$';

UPDATE dead_letters d
SET redacted_at = clock_timestamp(), key = NULL,
    value = convert_to(json_build_object('redacted', d.sentence,
                                         'bytes', octet_length(d.value))::text, 'UTF8')
WHERE d.reason = 'personal_data' AND d.redacted_at IS NULL AND d.value IS NOT NULL;
