-- For how many days an order makes a customer is configuration, which views ask for too.

CREATE TABLE IF NOT EXISTS {database}.kpi_settings
(
    name LowCardinality(String) COMMENT 'key in [kpi] of the configuration',
    value Int64 COMMENT 'its value',
    set_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'since when'
)
ENGINE = {engine:ReplacingMergeTree(set_at)}
ORDER BY name
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'what the configuration said when tables were last migrated, as far as views ask for it';

CREATE OR REPLACE VIEW {database}.rfm_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    profile_id UUID COMMENT 'id of the customer',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the orders: who bought in two has a row in each',
    until DateTime64(3, 'UTC') COMMENT 'the mark: the last midnight, UTC; later orders do not count',
    recency_days Int64 COMMENT 'whole days from the last order to the mark',
    frequency UInt64 COMMENT 'orders in the days up to the mark in which one makes a customer: 365, or what kpi.customer_days says',
    monetary Decimal(38, 6) COMMENT 'their totals less refunds',
    r UInt8 COMMENT 'quintile of recency: 5 for the fifth of the customers who bought last',
    f UInt8 COMMENT 'quintile of frequency: 5 for those who bought most often',
    m UInt8 COMMENT 'quintile of the monetary value: 5 for those who brought most',
    segment LowCardinality(String) COMMENT 'the three quintiles as text, such as 545'
)
AS
SELECT
    workspace, profile_id, currency, until, recency_days, frequency, monetary,
    -- By rank, ties by profile id: a fifth of the customers each, as near as their number allows.
    toUInt8(5 - intDiv(5 * (row_number() OVER (customers ORDER BY last DESC, place) - 1), count() OVER customers)) AS r,
    toUInt8(5 - intDiv(5 * (row_number() OVER (customers ORDER BY frequency DESC, place) - 1), count() OVER customers)) AS f,
    toUInt8(5 - intDiv(5 * (row_number() OVER (customers ORDER BY monetary DESC, place) - 1), count() OVER customers)) AS m,
    concat(toString(r), toString(f), toString(m)) AS segment
FROM
(
    SELECT
        workspace, assumeNotNull(profile_id) AS profile_id, currency,
        -- In the order of the id as text.
        UUIDToNum(profile_id) AS place,
        toDateTime64(toStartOfDay(now('UTC')), 3, 'UTC') AS until,
        max(ordered_at) AS last, dateDiff('day', last, until) AS recency_days, count() AS frequency,
        toDecimal128(sum(revenue), 6) AS monetary
    FROM {database}.orders_current
    WHERE profile_id IS NOT NULL AND currency != '' AND ordered_at <= until AND ordered_at > until - toIntervalDay(
        (SELECT if(count() = 0, 365, argMax(value, set_at)) FROM {database}.kpi_settings WHERE name = 'customer_days'))
    GROUP BY workspace, profile_id, currency
)
WINDOW customers AS (PARTITION BY workspace, currency)
COMMENT 'recency, frequency and monetary value of the customers, each as a quintile';
