-- Two ways to see events: as they were known when they came, and as they are known now.

CREATE OR REPLACE VIEW {database}.touchpoints_as_received
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    message_id String COMMENT 'the sender\'s id of this message; unique on its timeline',
    type LowCardinality(String) COMMENT 'track, identify, page, screen, group or alias',
    event LowCardinality(String) COMMENT 'name of a track event, of a page or of a screen; empty where there is none',
    channel LowCardinality(String) COMMENT 'web, app, store, email, sms, push, postal, social, ads, event, review, call_center, chatbot, voice, iot, server or another',
    source LowCardinality(String) COMMENT 'name of the source that sent it',
    subject LowCardinality(String) COMMENT 'who it speaks of: customer, or source for spend, followers or an answer at a terminal',
    activity LowCardinality(String) COMMENT 'active: the customer did it; passive: the brand or a machine did',
    bot Bool COMMENT 'sent by a bot, by its user agent: counts in no session, profile or KPI',
    historic Bool COMMENT 'from a source declared historic: its times were taken as they are',
    occurred_at DateTime64(3, 'UTC') COMMENT 'event time, corrected for the client\'s clock',
    sent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'the client\'s sentAt, as sent',
    received_at DateTime64(3, 'UTC') COMMENT 'when ingest read the request',
    original_timestamp Nullable(DateTime64(3, 'UTC')) COMMENT 'the client\'s timestamp, as sent',
    clock_correction_ms Int64 COMMENT 'what was added to the client\'s time to get the event time',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    identifiers Array(Tuple(type LowCardinality(String), value String)) COMMENT 'identifiers on the event, normalised, highest first',
    anonymous_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    user_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    email String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    phone String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    device_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    session_id Nullable(UUID) COMMENT 'session as known when the event was received; none for passive events, bots and sources',
    profile_id Nullable(UUID) COMMENT 'customer as known when the event was received; none where nobody owns it',
    links_offset Int64 COMMENT 'offset of the links log up to which links were known then',
    order_kind LowCardinality(String) COMMENT 'placed, refunded or cancelled; empty where the event is no order\'s',
    order_namespace LowCardinality(String) COMMENT 'within which order ids are unique',
    order_id String COMMENT 'id of the order; the message id where none was sent; empty where the event is no order\'s',
    revenue Nullable(Decimal(38, 6)) COMMENT 'amount of the order: total, else revenue, else value; of a refund what is given back',
    margin Nullable(Decimal(38, 6)) COMMENT 'margin of the order, where one is stated',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the amounts; empty where there are none',
    device_type LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, till or other; empty where unknown',
    store LowCardinality(String) COMMENT 'id of the store; empty outside stores',
    traffic_source LowCardinality(String) COMMENT 'how this touchpoint was reached: utm source and medium, else the click id\'s network, else the referrer\'s class, else direct',
    campaign LowCardinality(String) COMMENT 'utm_campaign; empty where there is none',
    campaign_source LowCardinality(String) COMMENT 'utm_source; empty where there is none',
    campaign_medium LowCardinality(String) COMMENT 'utm_medium; empty where there is none',
    campaign_term LowCardinality(String) COMMENT 'utm_term; empty where there is none',
    campaign_content LowCardinality(String) COMMENT 'utm_content; empty where there is none',
    url String COMMENT 'page address; empty where there is none',
    referrer String COMMENT 'referring address; empty where there is none',
    group_id String COMMENT 'id of a group call; else empty',
    consents Map(LowCardinality(String), Bool) COMMENT 'decisions stated on the event, by purpose',
    traits JSON(max_dynamic_paths = 32) COMMENT 'traits as sent',
    properties JSON(max_dynamic_paths = 32) COMMENT 'properties as sent',
    context JSON(max_dynamic_paths = 32) COMMENT 'context as sent, but for a truncated ip',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from',
    kafka_offset Int64 COMMENT 'offset in that partition'
)
AS
SELECT
    workspace, message_id, type, event, channel, source, subject, activity, bot, historic, occurred_at,
    sent_at, received_at, original_timestamp, clock_correction_ms, timeline, identifiers, anonymous_id,
    user_id, email, phone, device_id, session_id, profile_id, links_offset, order_kind, order_namespace,
    order_id, revenue, margin, currency, device_type, store, traffic_source, campaign, campaign_source,
    campaign_medium, campaign_term, campaign_content, url, referrer, group_id, consents, traits, properties,
    context, kafka_partition, kafka_offset
FROM {database}.touchpoints
COMMENT 'every event once, with session and customer as known when it was received';

CREATE OR REPLACE VIEW {database}.touchpoints_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    message_id String COMMENT 'the sender\'s id of this message; unique on its timeline',
    type LowCardinality(String) COMMENT 'track, identify, page, screen, group or alias',
    event LowCardinality(String) COMMENT 'name of a track event, of a page or of a screen; empty where there is none',
    channel LowCardinality(String) COMMENT 'web, app, store, email, sms, push, postal, social, ads, event, review, call_center, chatbot, voice, iot, server or another',
    source LowCardinality(String) COMMENT 'name of the source that sent it',
    subject LowCardinality(String) COMMENT 'who it speaks of: customer, or source for spend, followers or an answer at a terminal',
    activity LowCardinality(String) COMMENT 'active: the customer did it; passive: the brand or a machine did',
    bot Bool COMMENT 'sent by a bot, by its user agent: counts in no session, profile or KPI',
    historic Bool COMMENT 'from a source declared historic: its times were taken as they are',
    occurred_at DateTime64(3, 'UTC') COMMENT 'event time, corrected for the client\'s clock',
    sent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'the client\'s sentAt, as sent',
    received_at DateTime64(3, 'UTC') COMMENT 'when ingest read the request',
    original_timestamp Nullable(DateTime64(3, 'UTC')) COMMENT 'the client\'s timestamp, as sent',
    clock_correction_ms Int64 COMMENT 'what was added to the client\'s time to get the event time',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    identifiers Array(Tuple(type LowCardinality(String), value String)) COMMENT 'identifiers on the event, normalised, highest first',
    anonymous_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    user_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    email String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    phone String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    device_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    session_id Nullable(UUID) COMMENT 'session as known now',
    profile_id Nullable(UUID) COMMENT 'customer as known now',
    links_offset Int64 COMMENT 'offset of the links log up to which links were known then',
    order_kind LowCardinality(String) COMMENT 'placed, refunded or cancelled; empty where the event is no order\'s',
    order_namespace LowCardinality(String) COMMENT 'within which order ids are unique',
    order_id String COMMENT 'id of the order; the message id where none was sent; empty where the event is no order\'s',
    revenue Nullable(Decimal(38, 6)) COMMENT 'amount of the order: total, else revenue, else value; of a refund what is given back',
    margin Nullable(Decimal(38, 6)) COMMENT 'margin of the order, where one is stated',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the amounts; empty where there are none',
    device_type LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, till or other; empty where unknown',
    store LowCardinality(String) COMMENT 'id of the store; empty outside stores',
    traffic_source LowCardinality(String) COMMENT 'how this touchpoint was reached: utm source and medium, else the click id\'s network, else the referrer\'s class, else direct',
    campaign LowCardinality(String) COMMENT 'utm_campaign; empty where there is none',
    campaign_source LowCardinality(String) COMMENT 'utm_source; empty where there is none',
    campaign_medium LowCardinality(String) COMMENT 'utm_medium; empty where there is none',
    campaign_term LowCardinality(String) COMMENT 'utm_term; empty where there is none',
    campaign_content LowCardinality(String) COMMENT 'utm_content; empty where there is none',
    url String COMMENT 'page address; empty where there is none',
    referrer String COMMENT 'referring address; empty where there is none',
    group_id String COMMENT 'id of a group call; else empty',
    consents Map(LowCardinality(String), Bool) COMMENT 'decisions stated on the event, by purpose',
    traits JSON(max_dynamic_paths = 32) COMMENT 'traits as sent',
    properties JSON(max_dynamic_paths = 32) COMMENT 'properties as sent',
    context JSON(max_dynamic_paths = 32) COMMENT 'context as sent, but for a truncated ip',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from',
    kafka_offset Int64 COMMENT 'offset in that partition'
)
AS
-- Timelines without overrides come as they are; the few others are joined with what was decided since: by message
-- where a message is named, else by range. The branches share no row, since each row's hash is in the set or not.
SELECT
    workspace, message_id, type, event, channel, source, subject, activity, bot, historic, occurred_at,
    sent_at, received_at, original_timestamp, clock_correction_ms, timeline, identifiers, anonymous_id,
    user_id, email, phone, device_id, session_id, profile_id, links_offset, order_kind, order_namespace,
    order_id, revenue, margin, currency, device_type, store, traffic_source, campaign, campaign_source,
    campaign_medium, campaign_term, campaign_content, url, referrer, group_id, consents, traits, properties,
    context, kafka_partition, kafka_offset
FROM {database}.touchpoints
WHERE timeline_hash NOT IN (SELECT timeline_hash FROM {database}.overrides FINAL WHERE notEmpty(range_from) OR notEmpty(message_id))
UNION ALL
SELECT
    t.workspace, t.message_id, t.type, t.event, t.channel, t.source, t.subject, t.activity, t.bot,
    t.historic, t.occurred_at, t.sent_at, t.received_at, t.original_timestamp, t.clock_correction_ms,
    t.timeline, t.identifiers, t.anonymous_id, t.user_id, t.email, t.phone, t.device_id,
    if(m.found, m.session_id, if(t.counts AND r.found AND t.occurred_at <= r.until, r.session_id, t.session_id)) AS session_id,
    if(m.found, m.profile_id, if(t.counts AND r.found AND t.occurred_at <= r.until, r.profile_id, t.profile_id)) AS profile_id,
    t.links_offset, t.order_kind, t.order_namespace, t.order_id, t.revenue, t.margin, t.currency,
    t.device_type, t.store, t.traffic_source, t.campaign, t.campaign_source, t.campaign_medium,
    t.campaign_term, t.campaign_content, t.url, t.referrer, t.group_id, t.consents, t.traits, t.properties,
    t.context, t.kafka_partition, t.kafka_offset
FROM
(
    SELECT *, timeline_hash, message_hash, activity = 'active' AND NOT bot AND subject = 'customer' AS counts
    FROM {database}.touchpoints
    WHERE timeline_hash IN (SELECT timeline_hash FROM {database}.overrides FINAL WHERE notEmpty(range_from) OR notEmpty(message_id))
) AS t
ANY LEFT JOIN
(
    SELECT
        cityHash64(workspace, timeline, overridden) AS message_hash, session_id, profile_id, true AS found
    FROM {database}.overrides FINAL
    ARRAY JOIN message_id AS overridden, message_session AS session_id, message_profile AS profile_id
) AS m ON t.message_hash = m.message_hash
ASOF LEFT JOIN
(
    SELECT
        timeline_hash, since, until, session_id, profile_id, true AS found
    FROM {database}.overrides FINAL
    ARRAY JOIN range_from AS since, range_to AS until, range_session AS session_id, range_profile AS profile_id
) AS r ON t.timeline_hash = r.timeline_hash AND t.occurred_at >= r.since
COMMENT 'every event once, with session and customer as known now';
