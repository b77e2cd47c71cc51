-- Alerts: something of a workspace that somebody should look at.

CREATE TABLE IF NOT EXISTS {database}.alert_states
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    alert LowCardinality(String) COMMENT 'bad_buzz: more negative mentions in an hour than usual',
    raised_at DateTime64(3, 'UTC') COMMENT 'mark at which it was raised',
    cleared_at Nullable(DateTime64(3, 'UTC')) COMMENT 'mark at which it was cleared; none while it stands',
    value Decimal(38, 6) COMMENT 'what it was raised by: negative mentions in the hour',
    usual Decimal(38, 6) COMMENT 'moving average of the hours before: of the same hour of the week once four weeks are known',
    most Decimal(38, 6) COMMENT 'the most that would not have raised it',
    revision Int64 COMMENT 'grows with each change',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from',
    kafka_offset Int64 COMMENT 'offset in that partition'
)
ENGINE = {engine:ReplacingMergeTree(revision)}
ORDER BY (workspace, alert, raised_at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'alerts as raised and as cleared; read alerts';

CREATE OR REPLACE VIEW {database}.alerts
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    alert LowCardinality(String) COMMENT 'bad_buzz: more negative mentions in an hour than usual',
    raised_at DateTime64(3, 'UTC') COMMENT 'mark at which it was raised',
    cleared_at Nullable(DateTime64(3, 'UTC')) COMMENT 'mark at which it was cleared; none while it stands',
    value Decimal(38, 6) COMMENT 'what it was raised by: negative mentions in the hour',
    usual Decimal(38, 6) COMMENT 'moving average of the hours before: of the same hour of the week once four weeks are known',
    most Decimal(38, 6) COMMENT 'the most that would not have raised it'
)
AS
SELECT workspace, alert, raised_at, cleared_at, value, usual, most
FROM {database}.alert_states FINAL
COMMENT 'alerts, each once';
