-- Segments of customers, made of their orders as known now: RFM and cohorts by month.

CREATE OR REPLACE VIEW {database}.rfm_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    profile_id UUID COMMENT 'id of the customer',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the orders: who bought in two has a row in each',
    until DateTime64(3, 'UTC') COMMENT 'the mark: the last midnight, UTC; later orders do not count',
    recency_days Int64 COMMENT 'whole days from the last order to the mark',
    frequency UInt64 COMMENT 'orders in the 365 days up to the mark',
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
    toUInt8(5 - intDiv(5 * (row_number() OVER (customers ORDER BY last DESC, toString(profile_id)) - 1), count() OVER customers)) AS r,
    toUInt8(5 - intDiv(5 * (row_number() OVER (customers ORDER BY frequency DESC, toString(profile_id)) - 1), count() OVER customers)) AS f,
    toUInt8(5 - intDiv(5 * (row_number() OVER (customers ORDER BY monetary DESC, toString(profile_id)) - 1), count() OVER customers)) AS m,
    concat(toString(r), toString(f), toString(m)) AS segment
FROM
(
    SELECT
        workspace, assumeNotNull(profile_id) AS profile_id, currency,
        toDateTime64(toStartOfDay(now('UTC')), 3, 'UTC') AS until,
        max(ordered_at) AS last, dateDiff('day', last, until) AS recency_days, count() AS frequency,
        toDecimal128(sum(revenue), 6) AS monetary
    FROM {database}.orders_current
    WHERE profile_id IS NOT NULL AND currency != '' AND ordered_at <= until AND ordered_at > until - INTERVAL 365 DAY
    GROUP BY workspace, profile_id, currency
)
WINDOW customers AS (PARTITION BY workspace, currency)
COMMENT 'recency, frequency and monetary value of the customers of the last 365 days, each as a quintile';

CREATE OR REPLACE VIEW {database}.cohorts_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    cohort Date COMMENT 'month of the first order, by its first day, UTC',
    month UInt32 COMMENT 'months since then: 0 is the month of the first order',
    customers UInt64 COMMENT 'customers of the cohort',
    active UInt64 COMMENT 'those of them with an order in that month',
    orders UInt64 COMMENT 'their orders in it',
    revenue Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'totals of these orders less all refunds of them, by currency',
    retention Float64 COMMENT 'active by customers'
)
AS
SELECT
    o.workspace AS workspace, o.cohort AS cohort, o.month AS month, c.customers AS customers,
    uniqExact(o.profile_id) AS active, toUInt64(sum(o.orders)) AS orders,
    CAST(sumMapIf(map(o.currency, toDecimal128(o.revenue, 6)), o.currency != ''), 'Map(LowCardinality(String), Decimal(38, 6))') AS revenue,
    active / customers AS retention
FROM
(
    SELECT
        workspace, profile_id, currency, toStartOfMonth(toDate(first)) AS cohort,
        toUInt32(dateDiff('month', cohort, toStartOfMonth(toDate(ordered_at)))) AS month,
        count() AS orders, sum(revenue) AS revenue
    FROM
    (
        SELECT workspace, assumeNotNull(profile_id) AS profile_id, currency, ordered_at, revenue,
            min(ordered_at) OVER (PARTITION BY workspace, profile_id) AS first
        FROM {database}.orders_current
        WHERE profile_id IS NOT NULL
    )
    GROUP BY workspace, profile_id, currency, cohort, month
) AS o
INNER JOIN
(
    SELECT workspace, toStartOfMonth(toDate(first)) AS cohort, count() AS customers
    FROM (SELECT workspace, profile_id, min(ordered_at) AS first FROM {database}.orders_current WHERE profile_id IS NOT NULL GROUP BY workspace, profile_id)
    GROUP BY workspace, cohort
) AS c ON c.workspace = o.workspace AND c.cohort = o.cohort
GROUP BY workspace, cohort, month, customers
COMMENT 'customers by the month of their first order, and how many of them order in the months after; months without an order have no row';
