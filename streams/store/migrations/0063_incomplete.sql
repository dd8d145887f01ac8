-- An exceedance of which days are missing: the count of the alert is a lower bound.
ALTER TABLE alerts ADD COLUMN incomplete boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN alerts.incomplete IS
    'Days of the latest period in exceedance are missing: observed is what arrived, a lower bound';
COMMENT ON COLUMN verdicts.reason IS
    'Why there is or is no alarm; incomplete: the days that arrived exceed alone, observed is their sum';
