-- Events that could not be used, whole.

CREATE TABLE IF NOT EXISTS {database}.dead_letter_states
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    source LowCardinality(String) COMMENT 'source that sent the event',
    stage LowCardinality(String) COMMENT 'where it failed: ingest, observe, once, profile, kpi or sink',
    reason LowCardinality(String) COMMENT 'typed reason',
    detail String COMMENT 'which field, and how to mend it',
    message_id String COMMENT 'message id, where known',
    received_at DateTime64(3, 'UTC') COMMENT 'when it was received' CODEC(Delta, ZSTD),
    payload String COMMENT 'the event as received' CODEC(ZSTD),
    topic LowCardinality(String) COMMENT 'topic it was read from; empty at ingest',
    partition Int32 COMMENT 'partition of that topic; -1 at ingest',
    offset Int64 COMMENT 'offset in that partition; -1 at ingest',
    letter String COMMENT 'what makes two letters the same: the record that was read, or at ingest the letter itself',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree}
PARTITION BY toYYYYMM(received_at)
ORDER BY (workspace, source, received_at, letter)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'dead letters; a stage that was killed may have sent one twice; read dead_letters';

CREATE OR REPLACE VIEW {database}.dead_letters
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    source LowCardinality(String) COMMENT 'source that sent the event',
    stage LowCardinality(String) COMMENT 'where it failed: ingest, observe, once, profile, kpi or sink',
    reason LowCardinality(String) COMMENT 'typed reason',
    detail String COMMENT 'which field, and how to mend it',
    message_id String COMMENT 'message id, where known',
    received_at DateTime64(3, 'UTC') COMMENT 'when it was received',
    payload String COMMENT 'the event as received',
    topic LowCardinality(String) COMMENT 'topic it was read from; empty at ingest',
    partition Int32 COMMENT 'partition of that topic; -1 at ingest',
    offset Int64 COMMENT 'offset in that partition; -1 at ingest'
)
AS
SELECT
    workspace, source, stage, reason, detail, message_id, received_at, payload, topic, partition, offset
FROM {database}.dead_letter_states FINAL
COMMENT 'events that could not be used, whole, each once, with the reason';
