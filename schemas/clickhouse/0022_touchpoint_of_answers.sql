-- What an answer is about, as the brand calls it.

ALTER TABLE {database}.answers
    ADD COLUMN IF NOT EXISTS touchpoint LowCardinality(String) COMMENT 'touchpoint it is about, as the survey names it: delivery, checkout, call' AFTER product;
