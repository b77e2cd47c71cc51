-- The same quintiles, by where each begins: one sort of numbers for each, where windows sorted whole rows.

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
    workspace, customer.1 AS profile_id, currency, customer.2 AS until, customer.3 AS recency_days, customer.4 AS frequency,
    customer.5 AS monetary,
    toUInt8(1 + arrayCount(first -> first <= customer.6, of_recency)) AS r,
    toUInt8(1 + arrayCount(first -> first <= customer.7, of_frequency)) AS f,
    toUInt8(1 + arrayCount(first -> first <= customer.8, of_monetary)) AS m,
    concat(toString(r), toString(f), toString(m)) AS segment
FROM
(
    SELECT
        workspace, currency, count() AS n,
        groupArray((profile_id, until, recency_days, frequency, monetary, by_recency, by_frequency, by_monetary)) AS customers,
        -- The ranks at which the second to the fifth quintile begin, as NTILE(5) has them.
        arrayFilter(rank -> rank <= n, arrayMap(k -> toUInt64(1 + k * intDiv(n, 5) + least(k, n % 5)), [1, 2, 3, 4])) AS ranks,
        arraySort(groupArray(by_recency)) AS recencies, arrayMap(rank -> recencies[rank], ranks) AS of_recency,
        arraySort(groupArray(by_frequency)) AS frequencies, arrayMap(rank -> frequencies[rank], ranks) AS of_frequency,
        arraySort(groupArray(by_monetary)) AS monetaries, arrayMap(rank -> monetaries[rank], ranks) AS of_monetary
    FROM
    (
        SELECT
            *,
            -- Of equals the one with the lesser id, as text, is the lesser: a number and the id are one key.
            toInt256(toUInt128(profile_id)) AS place,
            toInt256('340282366920938463463374607431768211456') AS above,
            toInt256(toUnixTimestamp64Milli(last)) * above + place AS by_recency,
            toInt256(frequency) * above + place AS by_frequency,
            toInt256(monetary * 1000000) * above + place AS by_monetary
        FROM
        (
            SELECT
                workspace, assumeNotNull(profile_id) AS profile_id, currency,
                toDateTime64({mark:DateTime('UTC')}, 3, 'UTC') AS until,
                max(ordered_at) AS last, intDiv(toUnixTimestamp64Milli(until) - toUnixTimestamp64Milli(last), 86400000) AS recency_days, count() AS frequency,
                toDecimal128(sum(revenue), 6) AS monetary
            FROM {database}.orders_current
            WHERE profile_id IS NOT NULL AND currency != '' AND ordered_at <= until AND ordered_at > until - toIntervalDay(
                (SELECT if(count() = 0, 365, argMax(value, set_at)) FROM {database}.kpi_settings WHERE name = 'customer_days'))
            GROUP BY workspace, profile_id, currency
        )
    )
    GROUP BY workspace, currency
)
ARRAY JOIN customers AS customer
COMMENT 'rfm_at(mark = ''2026-11-01 00:00:00''): recency, frequency and monetary value of who was a customer at a mark, each as a quintile';
