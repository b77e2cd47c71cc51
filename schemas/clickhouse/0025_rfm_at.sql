-- Quintiles at any mark, as NTILE makes them.

CREATE OR REPLACE VIEW {database}.rfm_at
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    profile_id UUID COMMENT 'id of the customer',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the orders: who bought in two has a row in each',
    until DateTime64(3, 'UTC') COMMENT 'the mark: later orders do not count',
    recency_days Int64 COMMENT 'whole days from the last order to the mark',
    frequency UInt64 COMMENT 'orders in the days up to the mark in which one makes a customer: 365, or what kpi.customer_days says',
    monetary Decimal(38, 6) COMMENT 'their totals less refunds, also those after the mark',
    r UInt8 COMMENT 'quintile of recency: 5 for the fifth of the customers who bought last',
    f UInt8 COMMENT 'quintile of frequency: 5 for those who bought most often',
    m UInt8 COMMENT 'quintile of the monetary value: 5 for those who brought most',
    segment LowCardinality(String) COMMENT 'the three quintiles as text, such as 545'
)
AS
SELECT
    workspace, profile_id, currency, until, recency_days, frequency, monetary,
    -- By rank, of equals the one with the lesser id is the lesser.
    toUInt8(ntile(5) OVER (PARTITION BY workspace, currency ORDER BY last, place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS r,
    toUInt8(ntile(5) OVER (PARTITION BY workspace, currency ORDER BY frequency, place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS f,
    toUInt8(ntile(5) OVER (PARTITION BY workspace, currency ORDER BY monetary, place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS m,
    concat(toString(r), toString(f), toString(m)) AS segment
FROM
(
    SELECT
        workspace, assumeNotNull(profile_id) AS profile_id, currency,
        -- In the order of the id as text.
        UUIDToNum(profile_id) AS place,
        toDateTime64({mark:DateTime('UTC')}, 3, 'UTC') AS until,
        max(ordered_at) AS last, intDiv(toUnixTimestamp64Milli(until) - toUnixTimestamp64Milli(last), 86400000) AS recency_days, count() AS frequency,
        toDecimal128(sum(revenue), 6) AS monetary
    FROM {database}.orders_current
    WHERE profile_id IS NOT NULL AND currency != '' AND ordered_at <= until AND ordered_at > until - toIntervalDay(
        (SELECT if(count() = 0, 365, argMax(value, set_at)) FROM {database}.kpi_settings WHERE name = 'customer_days'))
    GROUP BY workspace, profile_id, currency
)
COMMENT 'rfm_at(mark = ''2026-11-01 00:00:00''): recency, frequency and monetary value of who was a customer at a mark, each as a quintile';

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
SELECT * FROM {database}.rfm_at(mark = toStartOfDay(now('UTC')))
COMMENT 'recency, frequency and monetary value of the customers, each as a quintile';
