-- What was sent as an identifier and is none, or not in the form in which others of its type are.

ALTER TABLE {database}.touchpoints
    ADD COLUMN IF NOT EXISTS identifier_problems Array(Tuple(type LowCardinality(String), sent String, problem LowCardinality(String)))
        COMMENT 'identifiers as sent that were left out (placeholder, beyond_limit: above 20 on the event, too_long: above 512 bytes), or kept as they are (not_normalised: a phone without country, an e-mail without a domain)'
        AFTER identifiers;
