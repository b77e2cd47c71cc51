-- The last answers with the notes and scales that were given, and margins only where orders state one.

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
    loyalty_quadrant LowCardinality(String) COMMENT 'attitude and repeat purchase now: true, latent, spurious, none or unknown; empty where it has none'
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
    arrayLast(q -> q.2 <= now64(3, 'UTC'), quadrants).1 AS loyalty_quadrant
FROM {database}.profiles FINAL
COMMENT 'customers as known now, a row each';

ALTER TABLE {database}.orders
    COMMENT COLUMN claims 'how often the order was sent: the first counts';

ALTER TABLE {database}.orders_current
    COMMENT COLUMN claims 'how often the order was sent: the first counts',
    COMMENT COLUMN profile_id 'the customer';

CREATE OR REPLACE VIEW {database}.answers_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    message_id String COMMENT 'message id of the event that carried the answer',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    occurred_at DateTime64(3, 'UTC') COMMENT 'event time',
    channel LowCardinality(String) COMMENT 'channel of the event',
    source LowCardinality(String) COMMENT 'source of the event',
    store LowCardinality(String) COMMENT 'store of the event',
    subject LowCardinality(String) COMMENT 'customer, or source for an answer without a person',
    answer UInt32 COMMENT 'number of the answer on the event, from 1',
    question_id String COMMENT 'id of the question',
    wording String COMMENT 'the question as asked',
    kind LowCardinality(String) COMMENT 'touchpoint or relation',
    aspect LowCardinality(String) COMMENT 'nps, csat, ces or as the survey names it',
    scale LowCardinality(String) COMMENT '0-10, 1-10, 1-5 or yes-no',
    value Nullable(Decimal(38, 6)) COMMENT 'the note; none for a comment alone',
    comment String COMMENT 'free text',
    product String COMMENT 'product it is about',
    touchpoint LowCardinality(String) COMMENT 'touchpoint it is about, as the survey names it: delivery, checkout, call',
    session_id Nullable(UUID) COMMENT 'session as known now',
    profile_id Nullable(UUID) COMMENT 'customer as known now; none for nobody, or a source'
)
AS
SELECT
    a.workspace AS workspace, a.message_id AS message_id, a.timeline AS timeline, a.occurred_at AS occurred_at, a.channel AS channel,
    a.source AS source, a.store AS store, a.subject AS subject, a.answer AS answer, a.question_id AS question_id,
    a.wording AS wording, a.kind AS kind, a.aspect AS aspect, a.scale AS scale, a.value AS value, a.comment AS comment,
    a.product AS product, a.touchpoint AS touchpoint, t.session_id AS session_id, t.profile_id AS profile_id
FROM {database}.answers AS a
LEFT JOIN
(
    SELECT workspace, timeline, message_id, session_id, profile_id
    FROM {database}.touchpoints_current
    WHERE (timeline, message_id) IN (SELECT timeline, message_id FROM {database}.answers)
) AS t ON t.workspace = a.workspace AND t.timeline = a.timeline AND t.message_id = a.message_id
COMMENT 'answers to questions, a row each, with session and customer as known now';
