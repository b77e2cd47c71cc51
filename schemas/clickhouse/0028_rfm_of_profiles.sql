-- The quintiles of a customer, beside all else that is known of it.

CREATE OR REPLACE VIEW {database}.profiles_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    profile_id UUID COMMENT 'id of the customer',
    identifiers Array(Tuple(type LowCardinality(String), value String)) COMMENT 'identifiers of the customer, highest first',
    traits JSON(max_dynamic_paths = 32) COMMENT 'traits, each as its rule chooses: as stated last, unless [traits] says otherwise',
    first_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'first active touchpoint',
    last_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'last active touchpoint',
    sessions Int64 COMMENT 'number of sessions',
    touchpoints Int64 COMMENT 'number of touchpoints, active and passive',
    orders Int64 COMMENT 'number of orders',
    revenue Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'order totals less refunds, by currency: the historic lifetime value',
    channels Array(LowCardinality(String)) COMMENT 'channels of active touchpoints',
    devices UInt64 COMMENT 'number of device ids',
    margin Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'margins that orders state, by currency, where they come to something',
    average_basket Map(LowCardinality(String), Float64) COMMENT 'order totals before refunds by order, by currency',
    first_order Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the first order',
    last_order Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the last order',
    days_between_orders Nullable(Float64) COMMENT 'days from one order to the next, on average; none with fewer than two orders',
    loyalty_points Decimal(38, 6) COMMENT 'points earned less those redeemed and expired',
    last_nps Nullable(Int32) COMMENT 'last note of recommendation, on the scale that last_answers names',
    last_csat Nullable(Int32) COMMENT '1 if the last word on satisfaction was satisfied, 0 if it was not',
    last_ces Nullable(Int32) COMMENT 'last effort, from 1 (low) to 5 (high)',
    last_answers Array(Tuple(aspect LowCardinality(String), scale LowCardinality(String), value Int32, occurred_at DateTime64(3, 'UTC'), comment String)) COMMENT 'the last answer of each aspect that KPIs know, on the scale that it was given on, with what was said with it',
    emails_sent Int64 COMMENT 'e-mails that it was sent',
    emails_delivered Int64 COMMENT 'of those, the ones that did not come back',
    emails_opened Int64 COMMENT 'of those, the ones that were opened or a link in them followed',
    emails_clicked Int64 COMMENT 'of those, the ones in which a link was followed',
    emails_unsubscribed Int64 COMMENT 'e-mails upon which it wanted no more',
    mentions Int64 COMMENT 'how often it spoke of the brand on social networks',
    trait_provenance Array(Tuple(name String, rule LowCardinality(String), source LowCardinality(String), occurred_at DateTime64(3, 'UTC'), message_id String)) COMMENT 'where each trait is from: the source that stated it, when, on which message, and the rule that chose it',
    consents Array(Tuple(purpose LowCardinality(String), granted Bool, occurred_at DateTime64(3, 'UTC'), source LowCardinality(String))) COMMENT 'the last decision on each purpose',
    groups Array(String) COMMENT 'ids of the groups that it belongs to',
    lifecycle LowCardinality(String) COMMENT 'its status now: visitor, prospect, customer, lapsed or won_back; empty where it has none',
    loyalty_quadrant LowCardinality(String) COMMENT 'attitude and repeat purchase now: true, latent, spurious, none or unknown; empty where it has none',
    rfm Array(Tuple(currency LowCardinality(String), r UInt8, f UInt8, m UInt8)) COMMENT 'quintiles of recency, frequency and monetary value as in rfm_current, by currency: 5 is best; empty for who is no customer'
)
AS
SELECT
    workspace, profile_id, identifiers, traits, first_seen, last_seen, sessions, touchpoints, orders, revenue, channels,
    arrayCount(i -> i.1 = 'device_id', identifiers) AS devices,
    CAST((arrayMap(s -> s.1, arrayFilter(s -> s.4 != 0, spending) AS stated), arrayMap(s -> s.4, stated)), 'Map(LowCardinality(String), Decimal(38, 6))') AS margin,
    CAST((arrayMap(s -> s.1, spending), arrayMap(s -> toFloat64(s.3) / s.2, spending)), 'Map(LowCardinality(String), Float64)') AS average_basket,
    first_order, last_order,
    if(orders > 1, (toUnixTimestamp64Milli(last_order) - toUnixTimestamp64Milli(first_order)) / 86400000 / (orders - 1), NULL) AS days_between_orders,
    loyalty_points,
    if(has(last_answers.aspect, 'nps'), arrayFirst(a -> a.1 = 'nps', last_answers).3, NULL) AS last_nps,
    if(has(last_answers.aspect, 'csat'), toInt32(arrayFirst(a -> a.1 = 'csat', last_answers).3 >= if(arrayFirst(a -> a.1 = 'csat', last_answers).2 = '1-5', 4, 1)), NULL) AS last_csat,
    if(has(last_answers.aspect, 'ces'), arrayFirst(a -> a.1 = 'ces', last_answers).3, NULL) AS last_ces,
    last_answers, emails_sent, emails_delivered, emails_opened, emails_clicked, emails_unsubscribed, mentions,
    trait_provenance, consents, groups,
    arrayLast(s -> s.2 <= now64(3, 'UTC'), statuses).1 AS lifecycle,
    arrayLast(q -> q.2 <= now64(3, 'UTC'), quadrants).1 AS loyalty_quadrant,
    -- Looked up in a set, which is made only where the column is asked for: a join would be made always.
    arrayFilter(q -> q.2 != 0, arrayMap(
        (currency, places) -> (currency, toUInt8(places[1] % 10), toUInt8(places[2] % 10), toUInt8(places[3] % 10)),
        mapKeys(revenue),
        arrayMap(
            currency -> arrayFilter(
                place -> (profile_id, cityHash64(workspace, currency), toUInt8(place)) IN
                    (SELECT profile_id, cityHash64(workspace, currency), toUInt8(arrayJoin([10 + r, 20 + f, 30 + m])) FROM {database}.rfm_current),
                [11, 12, 13, 14, 15, 21, 22, 23, 24, 25, 31, 32, 33, 34, 35]),
            mapKeys(revenue)))) AS rfm
FROM {database}.profiles FINAL
COMMENT 'customers as known now, a row each';
