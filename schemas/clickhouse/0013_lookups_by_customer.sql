-- Skip indexes read a filter of every granule: what a lookup by customer, or by the lower end of a link, costs grows with
-- the table. These hold the same by another order, and are kept by views on every insert.

CREATE TABLE IF NOT EXISTS {database}.identifiers_by_profile
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    profile_id UUID COMMENT 'a profile that holds the identifier, or held it in some revision, or the one that it alone would give',
    identifier_type LowCardinality(String) COMMENT 'type of the identifier',
    identifier_value String COMMENT 'normalised value'
)
ENGINE = {engine:ReplacingMergeTree}
ORDER BY (workspace, profile_id, identifier_type, identifier_value)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'where to look in identity_states for what is a profile''s';

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.identifiers_by_profile_kept TO {database}.identifiers_by_profile
AS
SELECT DISTINCT workspace, arrayJoin(arrayDistinct(arrayConcat(span_profile, [profile_id, own_profile_id]))) AS profile_id, identifier_type, identifier_value
FROM {database}.identity_states
WHERE NOT gone
COMMENT 'keeps identifiers_by_profile';

INSERT INTO {database}.identifiers_by_profile (workspace, profile_id, identifier_type, identifier_value)
SELECT DISTINCT workspace, arrayJoin(arrayDistinct(arrayConcat(span_profile, [profile_id, own_profile_id]))) AS profile_id, identifier_type, identifier_value
FROM {database}.identity_states
WHERE NOT gone;

CREATE TABLE IF NOT EXISTS {database}.link_observations_by_lower
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    higher_type LowCardinality(String) COMMENT 'type of the identifier of higher priority',
    higher_value String COMMENT 'its normalised value',
    lower_type LowCardinality(String) COMMENT 'type of the other identifier',
    lower_value String COMMENT 'its normalised value',
    source LowCardinality(String) COMMENT 'the source that saw both identifiers on one event',
    partition Int32 COMMENT 'partition of the touchpoints topic that observed it',
    first_seen DateTime64(3, 'UTC') COMMENT 'event time of the first event with both',
    first_message_id String COMMENT 'message id of that event',
    last_day Date32 COMMENT 'last UTC day both were seen on one event',
    kafka_offset Int64 COMMENT 'offset of what says so' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(kafka_offset)}
ORDER BY (workspace, lower_type, lower_value, higher_type, higher_value, source, partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'link_observations in the order of the lower end; read links';

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.link_observations_by_lower_kept TO {database}.link_observations_by_lower
AS
SELECT workspace, higher_type, higher_value, lower_type, lower_value, source, partition, first_seen, first_message_id, last_day, kafka_offset
FROM {database}.link_observations
COMMENT 'keeps link_observations_by_lower';

INSERT INTO {database}.link_observations_by_lower (workspace, higher_type, higher_value, lower_type, lower_value, source, partition, first_seen, first_message_id, last_day, kafka_offset)
SELECT workspace, higher_type, higher_value, lower_type, lower_value, source, partition, first_seen, first_message_id, last_day, kafka_offset
FROM {database}.link_observations;

CREATE TABLE IF NOT EXISTS {database}.sessions_by_profile
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    profile_id UUID COMMENT 'a profile that owns the session, or owned it in some revision',
    started_at DateTime64(3, 'UTC') COMMENT 'event time of its first touchpoint',
    session_id UUID COMMENT 'id of the session'
)
ENGINE = {engine:ReplacingMergeTree}
ORDER BY (workspace, profile_id, started_at, session_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'where to look in sessions for those of a profile';

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.sessions_by_profile_kept TO {database}.sessions_by_profile
AS
SELECT workspace, assumeNotNull(profile_id) AS profile_id, started_at, session_id
FROM {database}.sessions
WHERE profile_id IS NOT NULL AND NOT gone
COMMENT 'keeps sessions_by_profile';

INSERT INTO {database}.sessions_by_profile (workspace, profile_id, started_at, session_id)
SELECT workspace, assumeNotNull(profile_id) AS profile_id, started_at, session_id
FROM {database}.sessions
WHERE profile_id IS NOT NULL AND NOT gone;
