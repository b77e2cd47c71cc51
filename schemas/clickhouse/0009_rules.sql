-- Under which rules of identity a workspace is, and was. They say which sources may link, so the view of links asks them.

CREATE TABLE IF NOT EXISTS {database}.rules_entries
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    version Int64 COMMENT 'number of the rules, from 1',
    published_at DateTime64(3, 'UTC') COMMENT 'when a processor that was configured so published them',
    device_bridges Bool COMMENT 'whether a device may join two persons',
    shared_devices LowCardinality(String) COMMENT 'whose a session without a login is on a shared device: last or certain',
    consent_required Bool COMMENT 'whether both ends of a link must have agreed to stitching',
    hub Int32 COMMENT 'an identifier linked to more values of one person type than this joins nobody',
    limits Map(LowCardinality(String), Int32) COMMENT 'how many identifiers of a type one profile may hold',
    blocked_values Array(String) COMMENT 'values that identify nobody, in lower case, of any type',
    blocked_patterns Array(String) COMMENT 'the same with * for any text, with or without a type before it',
    sources_without_links Array(String) COMMENT 'sources whose sight of two identifiers makes no link',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree}
ORDER BY (workspace, version, kafka_offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'rules of identity on the links log; read identity_rules';

CREATE OR REPLACE VIEW {database}.identity_rules
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    version Int64 COMMENT 'number of the rules, from 1',
    in_force Bool COMMENT 'whether they are the newest, which every processor obeys',
    published_at DateTime64(3, 'UTC') COMMENT 'when a processor that was configured so published them',
    device_bridges Bool COMMENT 'whether a device may join two persons',
    shared_devices LowCardinality(String) COMMENT 'whose a session without a login is on a shared device: last or certain',
    consent_required Bool COMMENT 'whether both ends of a link must have agreed to stitching',
    hub Int32 COMMENT 'an identifier linked to more values of one person type than this joins nobody',
    limits Map(LowCardinality(String), Int32) COMMENT 'how many identifiers of a type one profile may hold',
    blocked_values Array(String) COMMENT 'values that identify nobody, in lower case, of any type',
    blocked_patterns Array(String) COMMENT 'the same with * for any text, with or without a type before it',
    sources_without_links Array(String) COMMENT 'sources whose sight of two identifiers makes no link'
)
AS
SELECT
    workspace,
    version,
    CAST(version = max(version) OVER (PARTITION BY workspace), 'Bool') AS in_force,
    published_at, device_bridges, shared_devices, consent_required, hub, limits, blocked_values, blocked_patterns,
    sources_without_links
FROM
(
    -- Of two with one number the first counts.
    SELECT *
    FROM {database}.rules_entries
    ORDER BY workspace, version, kafka_offset
    LIMIT 1 BY workspace, version
)
COMMENT 'versions of the rules of identity, by workspace';

ALTER TABLE {database}.link_observations
    COMMENT COLUMN may_link 'whether an event with both said that its source may link; the rules decide: see identity_rules';

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
    sources Array(String) COMMENT 'sources that saw it and may link'
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
    WHERE (workspace, source) NOT IN
    (
        SELECT workspace, arrayJoin(sources_without_links) FROM {database}.identity_rules WHERE in_force
    )
)
GROUP BY workspace, higher_type, higher_value, lower_type, lower_value
COMMENT 'pairs of identifiers that were seen on one event, by sources that may link under the rules in force';
