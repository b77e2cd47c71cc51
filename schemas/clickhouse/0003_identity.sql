-- Who is who: identifiers and their owners, the links that say so, and those that were refused.

CREATE TABLE IF NOT EXISTS {database}.identity_states
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    identifier_type LowCardinality(String) COMMENT 'type of the identifier',
    identifier_value String COMMENT 'normalised value',
    own_profile_id UUID COMMENT 'the profile id that this identifier alone would give',
    profile_id UUID COMMENT 'the profile that holds the identifier',
    hub Bool COMMENT 'linked to too many persons to join any',
    span_profile Array(UUID) COMMENT 'owners, in order of time',
    span_from Array(DateTime64(3, 'UTC')) COMMENT 'first moments, beside span_profile',
    span_to Array(DateTime64(3, 'UTC')) COMMENT 'first moments after, beside span_profile',
    revision Int64 COMMENT 'grows with each change',
    gone Bool COMMENT 'no longer known',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(revision, gone)}
ORDER BY (workspace, identifier_type, identifier_value)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'identifiers and whose they are, the newest revision of each; read identities and profile_aliases';

CREATE OR REPLACE VIEW {database}.identities
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    identifier_type LowCardinality(String) COMMENT 'user_id, crm_id, loyalty_card, email, phone, social_handle, device_id, anonymous_id, advertising_id or push_token',
    identifier_value String COMMENT 'normalised value',
    profile_id UUID COMMENT 'whose it is in this span of event time',
    valid_from DateTime64(3, 'UTC') COMMENT 'first moment of the span',
    valid_to DateTime64(3, 'UTC') COMMENT 'first moment after the span'
)
AS
SELECT
    workspace, identifier_type, identifier_value, owner AS profile_id, valid_from, valid_to
FROM {database}.identity_states FINAL
ARRAY JOIN span_profile AS owner, span_from AS valid_from, span_to AS valid_to
COMMENT 'whose each identifier is, in spans of event time that touch, from 1970 to 2299';

CREATE OR REPLACE VIEW {database}.profile_aliases
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    own_profile_id UUID COMMENT 'an id that the profile had or could have had: that of one of its identifiers',
    profile_id UUID COMMENT 'the profile that it means now'
)
AS
SELECT
    workspace, own_profile_id, profile_id
FROM {database}.identity_states FINAL
COMMENT 'which profile an id means now';

CREATE TABLE IF NOT EXISTS {database}.refusal_states
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    higher_type LowCardinality(String) COMMENT 'type of the identifier of higher priority',
    higher_value String COMMENT 'its normalised value',
    lower_type LowCardinality(String) COMMENT 'type of the other identifier',
    lower_value String COMMENT 'its normalised value',
    reason LowCardinality(String) COMMENT 'hub, limit TYPE, separated or device bridge',
    revision Int64 COMMENT 'grows with each change',
    gone Bool COMMENT 'no longer refused',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(revision, gone)}
ORDER BY (workspace, higher_type, higher_value, lower_type, lower_value)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'refused links, the newest revision of each; read identity_refusals';

CREATE OR REPLACE VIEW {database}.identity_refusals
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    higher_type LowCardinality(String) COMMENT 'type of the identifier of higher priority',
    higher_value String COMMENT 'its normalised value',
    lower_type LowCardinality(String) COMMENT 'type of the other identifier',
    lower_value String COMMENT 'its normalised value',
    reason LowCardinality(String) COMMENT 'hub, limit TYPE, separated or device bridge'
)
AS
SELECT
    workspace, higher_type, higher_value, lower_type, lower_value, reason
FROM {database}.refusal_states FINAL
COMMENT 'links that join nobody, and why';

CREATE TABLE IF NOT EXISTS {database}.link_observations
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    higher_type LowCardinality(String) COMMENT 'type of the identifier of higher priority',
    higher_value String COMMENT 'its normalised value',
    lower_type LowCardinality(String) COMMENT 'type of the other identifier',
    lower_value String COMMENT 'its normalised value',
    source LowCardinality(String) COMMENT 'the source that saw both identifiers on one event',
    partition Int32 COMMENT 'partition of the touchpoints topic that observed it',
    may_link Bool COMMENT 'whether that source may link',
    first_seen DateTime64(3, 'UTC') COMMENT 'event time of the first event with both',
    first_message_id String COMMENT 'message id of that event',
    last_day Date32 COMMENT 'last UTC day both were seen on one event',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(kafka_offset)}
ORDER BY (workspace, higher_type, higher_value, lower_type, lower_value, source, partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'what each partition knows of a link from a source; read links';

CREATE OR REPLACE VIEW {database}.links
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    higher_type LowCardinality(String) COMMENT 'type of the identifier of higher priority',
    higher_value String COMMENT 'its normalised value',
    lower_type LowCardinality(String) COMMENT 'type of the other identifier',
    lower_value String COMMENT 'its normalised value',
    first_seen DateTime64(3, 'UTC') COMMENT 'event time of the first event with both',
    first_message_id String COMMENT 'message id of that event',
    last_day Date32 COMMENT 'last UTC day both were seen on one event',
    sources Array(String) COMMENT 'sources that saw it'
)
AS
SELECT
    workspace, higher_type, higher_value, lower_type, lower_value,
    min(seen) AS first_seen,
    argMin(message_id, (seen, message_id)) AS first_message_id,
    max(day) AS last_day,
    arraySort(groupUniqArray(source)) AS sources
FROM
(
    SELECT
        workspace, higher_type, higher_value, lower_type, lower_value, source,
        first_seen AS seen, first_message_id AS message_id, last_day AS day
    FROM {database}.link_observations FINAL
    WHERE may_link
)
GROUP BY workspace, higher_type, higher_value, lower_type, lower_value
COMMENT 'pairs of identifiers that were seen on one event, by sources that may link';
