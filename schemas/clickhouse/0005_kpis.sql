-- KPIs at their marks, in blocks: a block is replaced as a whole, so that no mark is ever retracted row by row.

CREATE TABLE IF NOT EXISTS {database}.kpis
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    kpi LowCardinality(String) COMMENT 'slug of the KPI',
    window LowCardinality(String) COMMENT '1h, 24h, 7d, 30d, 90d or 365d',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty',
    dimension LowCardinality(String) COMMENT 'dimension, or empty for the whole',
    dimension_value String COMMENT 'value of the dimension, or empty',
    block_start DateTime64(3, 'UTC') COMMENT 'the mark with offset 0',
    step_ms Int64 COMMENT 'distance of marks',
    marks Array(Int32) COMMENT 'offsets of the marks that have a value, in steps',
    numerators Array(Decimal(38, 6)) COMMENT 'beside marks',
    denominators Array(Int64) COMMENT 'beside marks; 1 where the KPI is a sum',
    revision Int64 COMMENT 'grows with each change',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(revision)}
ORDER BY (workspace, kpi, window, currency, dimension, dimension_value, block_start)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'KPIs in blocks of marks, the newest revision of each and some older ones; read kpis_current';

CREATE OR REPLACE VIEW {database}.kpis_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    kpi LowCardinality(String) COMMENT 'slug of the KPI',
    window LowCardinality(String) COMMENT 'length of the rolling window that ends at the mark: 1h, 24h, 7d, 30d, 90d or 365d',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty where there is none',
    dimension LowCardinality(String) COMMENT 'dimension, or empty for the whole',
    dimension_value String COMMENT 'value of the dimension, or empty for the whole',
    window_end DateTime64(3, 'UTC') COMMENT 'the mark: the window holds what is after (mark less window) up to and including the mark',
    value Float64 COMMENT 'numerator by denominator',
    numerator Decimal(38, 6) COMMENT 'exact sum',
    denominator Int64 COMMENT 'exact count; 1 where the KPI is a sum'
)
AS
SELECT
    workspace, kpi, window, currency, dimension, dimension_value,
    addMilliseconds(block_start, mark * step_ms) AS window_end,
    toFloat64(numerator) / denominator AS value,
    numerator, denominator
FROM {database}.kpis FINAL
ARRAY JOIN marks AS mark, numerators AS numerator, denominators AS denominator
COMMENT 'KPIs at every kept mark up to now that has a value';
