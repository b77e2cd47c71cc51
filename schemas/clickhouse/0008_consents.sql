-- Who agreed to being stitched.

CREATE TABLE IF NOT EXISTS {database}.consent_observations
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    identifier_type LowCardinality(String) COMMENT 'type of the identifier',
    identifier_value String COMMENT 'normalised value',
    partition Int32 COMMENT 'partition of the touchpoints topic that observed it',
    decided_at DateTime64(3, 'UTC') COMMENT 'event time of the latest decision that it saw',
    granted Bool COMMENT 'given or refused',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(kafka_offset)}
ORDER BY (workspace, identifier_type, identifier_value, partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'what each partition knows of consents to stitching; read identity_consents';

CREATE OR REPLACE VIEW {database}.identity_consents
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    identifier_type LowCardinality(String) COMMENT 'type of the identifier',
    identifier_value String COMMENT 'normalised value',
    granted Bool COMMENT 'whether it may be linked: given or refused',
    decided_at DateTime64(3, 'UTC') COMMENT 'event time of the decision'
)
AS
SELECT
    workspace, identifier_type, identifier_value,
    argMax(given, (at, NOT given)) AS granted,
    max(at) AS decided_at
FROM
(
    SELECT workspace, identifier_type, identifier_value, granted AS given, decided_at AS at
    FROM {database}.consent_observations FINAL
)
GROUP BY workspace, identifier_type, identifier_value
COMMENT 'the latest decision of each identifier on being stitched; at equal times a refusal wins';
