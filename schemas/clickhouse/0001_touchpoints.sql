-- Events, one row each, and what was decided about them later.

CREATE TABLE IF NOT EXISTS {database}.touchpoints
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
    occurred_at DateTime64(3, 'UTC') COMMENT 'event time, corrected for the client\'s clock' CODEC(Delta, ZSTD),
    sent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'the client\'s sentAt, as sent' CODEC(ZSTD),
    received_at DateTime64(3, 'UTC') COMMENT 'when ingest read the request' CODEC(Delta, ZSTD),
    original_timestamp Nullable(DateTime64(3, 'UTC')) COMMENT 'the client\'s timestamp, as sent' CODEC(ZSTD),
    clock_correction_ms Int64 COMMENT 'what was added to the client\'s time to get the event time' CODEC(ZSTD),
    timeline String COMMENT 'the identifier that the event is filed under, as type:value' CODEC(ZSTD),
    identifiers Array(Tuple(type LowCardinality(String), value String)) COMMENT 'identifiers on the event, normalised, highest first',
    anonymous_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    user_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    email String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    phone String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    device_id String COMMENT 'first identifier of this type on the event, normalised; empty where there is none',
    session_id Nullable(UUID) COMMENT 'session as known when the event was received; none for passive events, bots and sources' CODEC(ZSTD),
    profile_id Nullable(UUID) COMMENT 'customer as known when the event was received; none where nobody owns it' CODEC(ZSTD),
    links_offset Int64 COMMENT 'offset of the links log up to which links were known then' CODEC(Delta, ZSTD),
    order_kind LowCardinality(String) COMMENT 'placed, refunded or cancelled; empty where the event is no order\'s',
    order_namespace LowCardinality(String) COMMENT 'within which order ids are unique',
    order_id String COMMENT 'id of the order; the message id where none was sent; empty where the event is no order\'s',
    revenue Nullable(Decimal(38, 6)) COMMENT 'amount of the order: total, else revenue, else value; of a refund what is given back' CODEC(ZSTD),
    margin Nullable(Decimal(38, 6)) COMMENT 'margin of the order, where one is stated' CODEC(ZSTD),
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the amounts; empty where there are none',
    device_type LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, till or other; empty where unknown',
    store LowCardinality(String) COMMENT 'id of the store; empty outside stores',
    traffic_source LowCardinality(String) COMMENT 'how this touchpoint was reached: utm source and medium, else the click id\'s network, else the referrer\'s class, else direct',
    campaign LowCardinality(String) COMMENT 'utm_campaign; empty where there is none',
    campaign_source LowCardinality(String) COMMENT 'utm_source; empty where there is none',
    campaign_medium LowCardinality(String) COMMENT 'utm_medium; empty where there is none',
    campaign_term LowCardinality(String) COMMENT 'utm_term; empty where there is none',
    campaign_content LowCardinality(String) COMMENT 'utm_content; empty where there is none',
    url String COMMENT 'page address; empty where there is none' CODEC(ZSTD),
    referrer String COMMENT 'referring address; empty where there is none' CODEC(ZSTD),
    group_id String COMMENT 'id of a group call; else empty',
    consents Map(LowCardinality(String), Bool) COMMENT 'decisions stated on the event, by purpose',
    traits JSON(max_dynamic_paths = 32) COMMENT 'traits as sent',
    properties JSON(max_dynamic_paths = 32) COMMENT 'properties as sent',
    context JSON(max_dynamic_paths = 32) COMMENT 'context as sent, but for a truncated ip',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD),
    kafka_epoch LowCardinality(String) COMMENT 'which life of the Kafka topic partition and offset speak of: another one after the topic was made anew',
    timeline_hash UInt64 MATERIALIZED cityHash64(workspace, timeline) COMMENT 'hash of workspace and timeline, to find the overrides of a row',
    message_hash UInt64 MATERIALIZED cityHash64(workspace, timeline, message_id) COMMENT 'hash of workspace, timeline and message id, to find the override of a single row',
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    INDEX by_profile profile_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (workspace, toDate(occurred_at), timeline_hash, occurred_at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'every event once, with its customer as known when it was received';

CREATE TABLE IF NOT EXISTS {database}.order_lines
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    message_id String COMMENT 'message id of the order event',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    occurred_at DateTime64(3, 'UTC') COMMENT 'event time of the order event' CODEC(Delta, ZSTD),
    order_namespace LowCardinality(String) COMMENT 'within which order ids are unique',
    order_id String COMMENT 'id of the order',
    order_kind LowCardinality(String) COMMENT 'placed, refunded or cancelled',
    line UInt32 COMMENT 'number of the line on the event, from 1',
    product_id String COMMENT 'product id, else sku',
    sku String COMMENT 'stock keeping unit',
    name String COMMENT 'product name',
    category LowCardinality(String) COMMENT 'category',
    brand LowCardinality(String) COMMENT 'brand',
    variant String COMMENT 'variant',
    coupon String COMMENT 'coupon on this line',
    quantity Decimal(38, 6) COMMENT 'pieces; 1 where none was sent' CODEC(ZSTD),
    price Nullable(Decimal(38, 6)) COMMENT 'price of a piece' CODEC(ZSTD),
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the price',
    channel LowCardinality(String) COMMENT 'channel of the order event',
    source LowCardinality(String) COMMENT 'source of the order event',
    store LowCardinality(String) COMMENT 'store of the order event',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD),
    kafka_epoch LowCardinality(String) COMMENT 'which life of the Kafka topic partition and offset speak of: another one after the topic was made anew',
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (workspace, order_namespace, order_id, message_id, line)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'products of order events, as sent: a line for each event that names the order; orders_current.message_id tells which event counts';

CREATE TABLE IF NOT EXISTS {database}.answers
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    message_id String COMMENT 'message id of the event that carried the answer',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    occurred_at DateTime64(3, 'UTC') COMMENT 'event time' CODEC(Delta, ZSTD),
    channel LowCardinality(String) COMMENT 'channel of the event',
    source LowCardinality(String) COMMENT 'source of the event',
    store LowCardinality(String) COMMENT 'store of the event',
    subject LowCardinality(String) COMMENT 'customer, or source for an answer without a person',
    answer UInt32 COMMENT 'number of the answer on the event, from 1',
    question_id String COMMENT 'id of the question',
    wording String COMMENT 'the question as asked' CODEC(ZSTD),
    kind LowCardinality(String) COMMENT 'touchpoint or relation',
    aspect LowCardinality(String) COMMENT 'nps, csat, ces or as the survey names it',
    scale LowCardinality(String) COMMENT '0-10, 1-10, 1-5 or yes-no',
    value Nullable(Decimal(38, 6)) COMMENT 'the note; none for a comment alone' CODEC(ZSTD),
    comment String COMMENT 'free text' CODEC(ZSTD),
    product String COMMENT 'product it is about',
    session_id Nullable(UUID) COMMENT 'session as known when the event was received' CODEC(ZSTD),
    profile_id Nullable(UUID) COMMENT 'customer as known when the event was received' CODEC(ZSTD),
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD),
    kafka_epoch LowCardinality(String) COMMENT 'which life of the Kafka topic partition and offset speak of: another one after the topic was made anew',
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (workspace, toDate(occurred_at), question_id, occurred_at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'answers to questions, a row each';

CREATE TABLE IF NOT EXISTS {database}.overrides
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    page Int64 COMMENT 'number of the timeline\'s page',
    revision Int64 COMMENT 'grows with each change of the page',
    range_from Array(DateTime64(3, 'UTC')) COMMENT 'first event times of ranges of active touchpoints, bots excepted',
    range_to Array(DateTime64(3, 'UTC')) COMMENT 'last event times, beside range_from',
    range_session Array(Nullable(UUID)) COMMENT 'sessions as known now, beside range_from',
    range_profile Array(Nullable(UUID)) COMMENT 'customers as known now, beside range_from',
    message_id Array(String) COMMENT 'single touchpoints',
    message_session Array(Nullable(UUID)) COMMENT 'sessions as known now, beside message_id',
    message_profile Array(Nullable(UUID)) COMMENT 'customers as known now, beside message_id',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD),
    timeline_hash UInt64 MATERIALIZED cityHash64(workspace, timeline) COMMENT 'hash of workspace and timeline, to find the overrides of a row'
)
ENGINE = {engine:ReplacingMergeTree(revision)}
ORDER BY (workspace, timeline_hash, timeline, page)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'touchpoints decided otherwise than when they were received, by pages of timelines; touchpoints_current applies them';
