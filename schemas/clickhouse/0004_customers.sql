-- Customers, their sessions and their orders, as known now.

CREATE TABLE IF NOT EXISTS {database}.profiles
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
    revenue Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'order totals less refunds, by currency',
    channels Array(LowCardinality(String)) COMMENT 'channels of active touchpoints',
    revision Int64 COMMENT 'grows with each change',
    gone Bool COMMENT 'no longer: all it held is elsewhere',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(revision, gone)}
ORDER BY (workspace, profile_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'customers, the newest revision of each and some older ones; read profiles_current';

CREATE OR REPLACE VIEW {database}.profiles_current
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
    revenue Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'order totals less refunds, by currency',
    channels Array(LowCardinality(String)) COMMENT 'channels of active touchpoints'
)
AS
SELECT
    workspace, profile_id, identifiers, traits, first_seen, last_seen, sessions, touchpoints, orders,
    revenue, channels
FROM {database}.profiles FINAL
COMMENT 'customers as known now, a row each';

CREATE TABLE IF NOT EXISTS {database}.sessions
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    session_id UUID COMMENT 'id of the session',
    profile_id Nullable(UUID) COMMENT 'whose it is; none for nobody',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    started_at DateTime64(3, 'UTC') COMMENT 'event time of the first touchpoint',
    ended_at DateTime64(3, 'UTC') COMMENT 'event time of the last touchpoint',
    touchpoints Int64 COMMENT 'active touchpoints in it',
    views Int64 COMMENT 'page and screen views in it',
    channel LowCardinality(String) COMMENT 'of the first touchpoint',
    traffic_source LowCardinality(String) COMMENT 'of the first touchpoint',
    campaign LowCardinality(String) COMMENT 'of the first touchpoint',
    store LowCardinality(String) COMMENT 'of the first touchpoint',
    device_type LowCardinality(String) COMMENT 'of the first touchpoint',
    source LowCardinality(String) COMMENT 'of the first touchpoint',
    goals Map(LowCardinality(String), Int64) COMMENT 'events of each goal in it',
    revision Int64 COMMENT 'grows with each change',
    gone Bool COMMENT 'no longer: all it held is elsewhere',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(revision, gone)}
ORDER BY (workspace, session_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'sessions, the newest revision of each and some older ones; read sessions_current';

CREATE OR REPLACE VIEW {database}.sessions_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    session_id UUID COMMENT 'id of the session',
    profile_id Nullable(UUID) COMMENT 'whose it is; none for nobody',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    started_at DateTime64(3, 'UTC') COMMENT 'event time of the first touchpoint',
    ended_at DateTime64(3, 'UTC') COMMENT 'event time of the last touchpoint',
    touchpoints Int64 COMMENT 'active touchpoints in it',
    views Int64 COMMENT 'page and screen views in it',
    channel LowCardinality(String) COMMENT 'of the first touchpoint',
    traffic_source LowCardinality(String) COMMENT 'of the first touchpoint',
    campaign LowCardinality(String) COMMENT 'of the first touchpoint',
    store LowCardinality(String) COMMENT 'of the first touchpoint',
    device_type LowCardinality(String) COMMENT 'of the first touchpoint',
    source LowCardinality(String) COMMENT 'of the first touchpoint',
    goals Map(LowCardinality(String), Int64) COMMENT 'events of each goal in it'
)
AS
SELECT
    workspace, session_id, profile_id, timeline, started_at, ended_at, touchpoints, views, channel,
    traffic_source, campaign, store, device_type, source, goals
FROM {database}.sessions FINAL
COMMENT 'sessions as known now, a row each';

CREATE TABLE IF NOT EXISTS {database}.orders
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    order_namespace LowCardinality(String) COMMENT 'within which order ids are unique',
    order_id String COMMENT 'id of the order',
    currency LowCardinality(String) COMMENT 'ISO 4217 code',
    total Decimal(38, 6) COMMENT 'order total before refunds',
    refunded Decimal(38, 6) COMMENT 'refunds so far, at most the total',
    margin Nullable(Decimal(38, 6)) COMMENT 'margin where stated',
    ordered_at DateTime64(3, 'UTC') COMMENT 'event time of the touchpoint that counts',
    message_id String COMMENT 'its message id',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    channel LowCardinality(String) COMMENT 'its channel',
    source LowCardinality(String) COMMENT 'its source',
    traffic_source LowCardinality(String) COMMENT 'of its session\'s first touchpoint',
    campaign LowCardinality(String) COMMENT 'of its session\'s first touchpoint',
    store LowCardinality(String) COMMENT 'its store',
    device_type LowCardinality(String) COMMENT 'its device type',
    session_id Nullable(UUID) COMMENT 'its session',
    profile_id Nullable(UUID) COMMENT 'whose it is; none for nobody',
    cancelled Bool COMMENT 'whether it was cancelled',
    claims Int64 COMMENT 'order events that claimed this order',
    revision Int64 COMMENT 'grows with each change',
    gone Bool COMMENT 'no longer: all it held is elsewhere',
    kafka_partition Int32 COMMENT 'partition of the Kafka topic that the row came from' CODEC(Delta, ZSTD),
    kafka_offset Int64 COMMENT 'offset in that partition' CODEC(Delta, ZSTD)
)
ENGINE = {engine:ReplacingMergeTree(revision, gone)}
ORDER BY (workspace, order_namespace, order_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'orders, the newest revision of each and some older ones; read orders_current';

CREATE OR REPLACE VIEW {database}.orders_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    order_namespace LowCardinality(String) COMMENT 'within which order ids are unique',
    order_id String COMMENT 'id of the order',
    currency LowCardinality(String) COMMENT 'ISO 4217 code',
    total Decimal(38, 6) COMMENT 'order total before refunds',
    refunded Decimal(38, 6) COMMENT 'refunds so far, at most the total',
    revenue Decimal(38, 6) COMMENT 'total less refunds',
    margin Nullable(Decimal(38, 6)) COMMENT 'margin where stated',
    ordered_at DateTime64(3, 'UTC') COMMENT 'event time of the touchpoint that counts',
    message_id String COMMENT 'its message id',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    channel LowCardinality(String) COMMENT 'its channel',
    source LowCardinality(String) COMMENT 'its source',
    traffic_source LowCardinality(String) COMMENT 'of its session\'s first touchpoint',
    campaign LowCardinality(String) COMMENT 'of its session\'s first touchpoint',
    store LowCardinality(String) COMMENT 'its store',
    device_type LowCardinality(String) COMMENT 'its device type',
    session_id Nullable(UUID) COMMENT 'its session',
    profile_id Nullable(UUID) COMMENT 'whose it is; none for nobody',
    cancelled Bool COMMENT 'whether it was cancelled',
    claims Int64 COMMENT 'order events that claimed this order'
)
AS
SELECT
    workspace, order_namespace, order_id, currency, total, refunded,
    toDecimal128(total - refunded, 6) AS revenue, margin, ordered_at, message_id, timeline, channel, source,
    traffic_source, campaign, store, device_type, session_id, profile_id, cancelled, claims
FROM {database}.orders FINAL
COMMENT 'orders as known now, each counted once';
