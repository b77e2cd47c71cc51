-- Comments that say what others say of the same.

ALTER TABLE {database}.customers_current
    COMMENT COLUMN margin 'margins that orders state, by currency, where they come to something',
    COMMENT COLUMN last_answers 'the last answer of each aspect that KPIs know, on the scale that it was given on, with what was said with it';
