-- Customers with all that is known of each, their quintiles too, in a row.

CREATE OR REPLACE VIEW {database}.customers_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    profile_id UUID COMMENT 'id of the customer',
    identifiers Array(Tuple(type LowCardinality(String), value String)) COMMENT 'identifiers of the customer, highest first',
    traits JSON(max_dynamic_paths = 32) COMMENT 'traits, each as stated last',
    first_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'first active touchpoint',
    last_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'last active touchpoint',
    sessions Int64 COMMENT 'number of sessions',
    touchpoints Int64 COMMENT 'number of touchpoints, active and passive',
    orders Int64 COMMENT 'number of orders',
    revenue Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'order totals less refunds, by currency: the historic lifetime value',
    channels Array(LowCardinality(String)) COMMENT 'channels of active touchpoints',
    devices UInt64 COMMENT 'number of device ids',
    margin Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'margins that orders state, by currency',
    average_basket Map(LowCardinality(String), Float64) COMMENT 'order totals before refunds by order, by currency',
    first_order Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the first order',
    last_order Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the last order',
    days_between_orders Nullable(Float64) COMMENT 'days from one order to the next, on average; none with fewer than two orders',
    loyalty_points Decimal(38, 6) COMMENT 'points earned less those redeemed and expired',
    last_nps Nullable(Int32) COMMENT 'last note of recommendation, on the scale that last_answers names',
    last_csat Nullable(Int32) COMMENT '1 if the last word on satisfaction was satisfied, 0 if it was not',
    last_ces Nullable(Int32) COMMENT 'last effort, from 1 (low) to 5 (high)',
    last_answers Array(Tuple(aspect LowCardinality(String), scale LowCardinality(String), value Int32, occurred_at DateTime64(3, 'UTC'), comment String)) COMMENT 'the last note of each aspect, with what was said with it',
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
    rfm Array(Tuple(currency LowCardinality(String), recency_days Int64, frequency UInt64, monetary Decimal(38, 6), r UInt8, f UInt8, m UInt8, segment LowCardinality(String))) COMMENT 'recency, frequency and monetary value of the last 365 days by currency, each with its quintile, as in rfm_current; empty without an order in these days'
)
AS
SELECT
    p.workspace AS workspace, p.profile_id AS profile_id, p.identifiers AS identifiers, p.traits AS traits,
    p.first_seen AS first_seen, p.last_seen AS last_seen, p.sessions AS sessions, p.touchpoints AS touchpoints,
    p.orders AS orders, p.revenue AS revenue, p.channels AS channels, p.devices AS devices, p.margin AS margin,
    p.average_basket AS average_basket, p.first_order AS first_order, p.last_order AS last_order,
    p.days_between_orders AS days_between_orders, p.loyalty_points AS loyalty_points, p.last_nps AS last_nps,
    p.last_csat AS last_csat, p.last_ces AS last_ces, p.last_answers AS last_answers, p.emails_sent AS emails_sent,
    p.emails_delivered AS emails_delivered, p.emails_opened AS emails_opened, p.emails_clicked AS emails_clicked,
    p.emails_unsubscribed AS emails_unsubscribed, p.mentions AS mentions, p.trait_provenance AS trait_provenance,
    p.consents AS consents, p.groups AS groups, p.lifecycle AS lifecycle, p.loyalty_quadrant AS loyalty_quadrant,
    r.rfm AS rfm
FROM {database}.profiles_current AS p
LEFT JOIN
(
    SELECT workspace, profile_id, arraySort(groupArray((currency, recency_days, frequency, monetary, r, f, m, segment))) AS rfm
    FROM {database}.rfm_current
    GROUP BY workspace, profile_id
) AS r ON r.workspace = p.workspace AND r.profile_id = p.profile_id
WHERE p.orders > 0
COMMENT 'profiles with an order, as in profiles_current, and their quintiles of recency, frequency and monetary value';
