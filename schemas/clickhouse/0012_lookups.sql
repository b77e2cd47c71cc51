-- Who asks why somebody is one customer comes with a customer, or with either end of a link; the tables are ordered by
-- identifier, and by the higher end.

ALTER TABLE {database}.identity_states
    ADD INDEX IF NOT EXISTS by_profile profile_id TYPE bloom_filter(0.001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_span_profile span_profile TYPE bloom_filter(0.001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_own_profile own_profile_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE {database}.identity_states MATERIALIZE INDEX by_profile, MATERIALIZE INDEX by_span_profile, MATERIALIZE INDEX by_own_profile;

ALTER TABLE {database}.link_observations ADD INDEX IF NOT EXISTS by_lower lower_value TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE {database}.link_observations MATERIALIZE INDEX by_lower;

ALTER TABLE {database}.refusal_states ADD INDEX IF NOT EXISTS by_lower lower_value TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE {database}.refusal_states MATERIALIZE INDEX by_lower;

ALTER TABLE {database}.sessions ADD INDEX IF NOT EXISTS by_profile profile_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE {database}.sessions MATERIALIZE INDEX by_profile;
