-- What every block of a KPI was published as, and when: kpis keeps the newest only.

CREATE TABLE IF NOT EXISTS {database}.kpi_blocks
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    kpi LowCardinality(String) COMMENT 'slug of the KPI',
    window LowCardinality(String) COMMENT '1h, 24h, 7d, 30d, 90d or 365d',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty',
    dimension LowCardinality(String) COMMENT 'dimension, or empty for the whole',
    dimension_value String COMMENT 'value of the dimension, or empty',
    block_start DateTime64(3, 'UTC') COMMENT 'the mark with offset 0',
    step_ms Int64 COMMENT 'distance of marks',
    marks Array(Int32) COMMENT 'offsets of the marks that had a value, in steps' CODEC(ZSTD),
    numerators Array(Decimal(38, 6)) COMMENT 'beside marks' CODEC(ZSTD),
    denominators Array(Int64) COMMENT 'beside marks; 1 where the KPI is a sum' CODEC(ZSTD),
    revision Int64 COMMENT 'when it was published, in milliseconds since 1970' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree}
ORDER BY (workspace, kpi, window, currency, dimension, dimension_value, block_start, revision)
TTL toDateTime(fromUnixTimestamp64Milli(revision, 'UTC')) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'blocks of marks as they were published in the last 30 days; read kpi_history';

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.kpi_blocks_kept TO {database}.kpi_blocks
AS
SELECT workspace, kpi, window, currency, dimension, dimension_value, block_start, step_ms, marks, numerators, denominators, revision
FROM {database}.kpis
COMMENT 'keeps kpi_blocks';

INSERT INTO {database}.kpi_blocks (workspace, kpi, window, currency, dimension, dimension_value, block_start, step_ms, marks, numerators, denominators, revision)
SELECT workspace, kpi, window, currency, dimension, dimension_value, block_start, step_ms, marks, numerators, denominators, revision
FROM {database}.kpis;

CREATE OR REPLACE VIEW {database}.kpi_history
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    kpi LowCardinality(String) COMMENT 'slug of the KPI',
    window LowCardinality(String) COMMENT 'length of the rolling window that ends at the mark: 1h, 24h, 7d, 30d, 90d or 365d',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty where there is none',
    dimension LowCardinality(String) COMMENT 'dimension, or empty for the whole',
    dimension_value String COMMENT 'value of the dimension, or empty for the whole',
    window_end DateTime64(3, 'UTC') COMMENT 'the mark: the window holds what is after (mark less window) up to and including the mark',
    believed_from DateTime64(3, 'UTC') COMMENT 'when the value was published',
    believed_until Nullable(DateTime64(3, 'UTC')) COMMENT 'when another took its place, perhaps the same; none where it still holds',
    value Float64 COMMENT 'numerator by denominator',
    numerator Decimal(38, 6) COMMENT 'exact sum',
    denominator Int64 COMMENT 'exact count; 1 where the KPI is a sum'
)
AS
SELECT
    workspace, kpi, window, currency, dimension, dimension_value,
    addMilliseconds(block_start, mark * step_ms) AS window_end,
    fromUnixTimestamp64Milli(revision, 'UTC') AS believed_from,
    if(next = 0, NULL, fromUnixTimestamp64Milli(next, 'UTC')) AS believed_until,
    toFloat64(numerator) / denominator AS value,
    numerator, denominator
FROM
(
    SELECT *, leadInFrame(revision) OVER
        (PARTITION BY workspace, kpi, window, currency, dimension, dimension_value, block_start
        ORDER BY revision ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next
    FROM {database}.kpi_blocks FINAL
)
ARRAY JOIN marks AS mark, numerators AS numerator, denominators AS denominator
COMMENT 'what the value at a mark was believed to be, from when until when, for 30 days: corrections of the past show here';
