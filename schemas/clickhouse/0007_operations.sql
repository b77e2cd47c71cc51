-- What operators said of identifiers.

CREATE TABLE IF NOT EXISTS {database}.operation_entries
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    operation_id UUID COMMENT 'of this entry',
    kind LowCardinality(String) COMMENT 'cut, separate, pin, block or undo',
    first_type LowCardinality(String) COMMENT 'type of the one identifier; of a block empty where the value is blocked for every type; of an undo empty',
    first_value String COMMENT 'its normalised value; of an undo empty',
    second_type LowCardinality(String) COMMENT 'type of the other identifier; of a block and an undo empty',
    second_value String COMMENT 'its normalised value; of a block and an undo empty',
    undoes Nullable(UUID) COMMENT 'of an undo: the entry that counts no more',
    entered_at DateTime64(3, 'UTC') COMMENT 'when it was entered',
    entered_by String COMMENT 'who entered it',
    reason String COMMENT 'why; empty where nobody said',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(kafka_offset)}
ORDER BY (workspace, operation_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'entries of operators on the links log; read identity_operations';

CREATE OR REPLACE VIEW {database}.identity_operations
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    number Int64 COMMENT 'by which the entry is undone: its place in the links log',
    kind LowCardinality(String) COMMENT 'cut, separate, pin, block or undo',
    first_type LowCardinality(String) COMMENT 'type of the one identifier; of a block empty where the value is blocked for every type',
    first_value String COMMENT 'its normalised value',
    second_type LowCardinality(String) COMMENT 'type of the other identifier, of a pair',
    second_value String COMMENT 'its normalised value',
    undoes Nullable(Int64) COMMENT 'of an undo: number of the entry that it undoes',
    undone_by Array(Int64) COMMENT 'numbers of the undos of this entry; such an undo can be undone itself, and then does not count',
    entered_at DateTime64(3, 'UTC') COMMENT 'when it was entered',
    entered_by String COMMENT 'who entered it',
    reason String COMMENT 'why; empty where nobody said',
    operation_id UUID COMMENT 'of this entry'
)
AS
SELECT
    entry.workspace AS workspace,
    entry.kafka_offset AS number,
    entry.kind AS kind,
    entry.first_type AS first_type,
    entry.first_value AS first_value,
    entry.second_type AS second_type,
    entry.second_value AS second_value,
    if(isNull(entry.undoes), NULL, target.number) AS undoes,
    undos.numbers AS undone_by,
    entry.entered_at AS entered_at,
    entry.entered_by AS entered_by,
    entry.reason AS reason,
    entry.operation_id AS operation_id
FROM {database}.operation_entries AS entry FINAL
LEFT JOIN
(
    SELECT workspace, operation_id, kafka_offset AS number
    FROM {database}.operation_entries FINAL
) AS target
ON target.workspace = entry.workspace AND target.operation_id = assumeNotNull(entry.undoes)
LEFT JOIN
(
    SELECT workspace, assumeNotNull(undoes) AS target_id, arraySort(groupArray(kafka_offset)) AS numbers
    FROM {database}.operation_entries FINAL
    WHERE isNotNull(undoes)
    GROUP BY workspace, target_id
) AS undos
ON undos.workspace = entry.workspace AND undos.target_id = entry.operation_id
COMMENT 'what operators said of identifiers: who, when and why';
