-- A shop of ninety days, made up in the tables: visits of four touchpoints, five a customer, in three cookies or an app, an
-- order in an eighth of them. Statements with {first} and {count} are run for so many visits at a time.

INSERT INTO touchpoints
(
    workspace, message_id, type, event, channel, source, subject, activity, bot, historic, occurred_at, sent_at, received_at,
    original_timestamp, timeline, identifiers, anonymous_id, user_id, email, session_id, profile_id, order_kind,
    order_namespace, order_id, revenue, currency, device_type, store, traffic_source, campaign, url, referrer, traits,
    properties, context, kafka_partition, kafka_offset, kafka_epoch
)
WITH
    intDiv(number, 4) AS visit, number % 4 AS place, visit % {customers:UInt64} AS customer, sipHash64(visit) AS dice,
    ['web', 'web', 'web', 'web', 'web', 'web', 'app', 'app', 'store', 'web'][dice % 10 + 1] AS on_channel,
    concat(if(on_channel = 'app', 'app-', 'cookie-'), toString(customer), '-', toString(intDiv(visit, {customers:UInt64}) % 3)) AS cookie,
    fromUnixTimestamp64Milli(toInt64({now:UInt64} - 600 - dice % 7776000 + 60 * place) * 1000, 'UTC') AS time,
    place = 3 AND dice % 8 = 0 AS is_order
SELECT
    'w0', concat('m', toString(number)), if(place IN (0, 2), 'page', 'track'),
    multiIf(place IN (0, 2), '', is_order, 'Order Completed', place = 1, 'Product Viewed', 'Product Added'),
    on_channel, 'web', 'customer', 'active', false, false, time, time, time, time, concat('anonymous_id:', cookie),
    [('user_id', concat('u', toString(customer))), ('anonymous_id', cookie)], cookie, concat('u', toString(customer)), '',
    reinterpretAsUUID(sipHash128(visit)), reinterpretAsUUID(sipHash128('customer', customer)), if(is_order, 'placed', ''),
    if(is_order, 'online', ''), if(is_order, toString(visit), ''), if(is_order, toDecimal128(10 + dice % 90, 6), NULL),
    if(is_order, 'EUR', ''), ['desktop', 'mobile', 'tablet'][dice % 3 + 1], if(on_channel = 'store', concat('store-', toString(dice % 20)), ''),
    ['direct', 'google', 'social', 'newsletter'][dice % 4 + 1], if(dice % 4 = 3, concat('campaign-', toString(dice % 30)), ''),
    concat('https://shop.example/p/', toString(dice % 500)), '',
    '{}', if(place = 1, concat('{"product_id": "p', toString(dice % 500), '", "price": ', toString(dice % 90), ', "position": 3}'), '{}'),
    '{"library": {"name": "analytics.js", "version": "5.2.0"}, "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)", "locale": "en-GB"}',
    toInt32(customer % 4), number, 'e'
FROM numbers(4 * {first:UInt64}, 4 * {count:UInt64});

INSERT INTO sessions
(
    workspace, session_id, profile_id, timeline, started_at, ended_at, touchpoints, views, channel, traffic_source, campaign,
    store, device_type, source, goals, revision, gone, kafka_partition, kafka_offset
)
WITH
    number AS visit, visit % {customers:UInt64} AS customer, sipHash64(visit) AS dice,
    ['web', 'web', 'web', 'web', 'web', 'web', 'app', 'app', 'store', 'web'][dice % 10 + 1] AS on_channel,
    fromUnixTimestamp64Milli(toInt64({now:UInt64} - 600 - dice % 7776000) * 1000, 'UTC') AS time
SELECT
    'w0', reinterpretAsUUID(sipHash128(visit)), reinterpretAsUUID(sipHash128('customer', customer)),
    concat('anonymous_id:', if(on_channel = 'app', 'app-', 'cookie-'), toString(customer), '-', toString(intDiv(visit, {customers:UInt64}) % 3)),
    time, time + INTERVAL 3 MINUTE, 4, 2, on_channel,
    ['direct', 'google', 'social', 'newsletter'][dice % 4 + 1], if(dice % 4 = 3, concat('campaign-', toString(dice % 30)), ''),
    if(on_channel = 'store', concat('store-', toString(dice % 20)), ''), ['desktop', 'mobile', 'tablet'][dice % 3 + 1], 'web',
    if(dice % 8 = 0, map('purchase', toInt64(1)), map()), 1, false, 0, visit
FROM numbers({first:UInt64}, {count:UInt64});

INSERT INTO orders
(
    workspace, order_namespace, order_id, currency, total, refunded, margin, ordered_at, message_id, timeline, channel, source,
    traffic_source, campaign, store, device_type, session_id, profile_id, cancelled, claims, revision, gone, kafka_partition,
    kafka_offset
)
WITH
    number AS visit, visit % {customers:UInt64} AS customer, sipHash64(visit) AS dice,
    ['web', 'web', 'web', 'web', 'web', 'web', 'app', 'app', 'store', 'web'][dice % 10 + 1] AS on_channel
SELECT
    'w0', 'online', toString(visit), 'EUR', 10 + dice % 90, if(dice % 20 = 0, 10, 0), NULL,
    fromUnixTimestamp64Milli(toInt64({now:UInt64} - 420 - dice % 7776000) * 1000, 'UTC'), concat('m', toString(4 * visit + 3)),
    concat('anonymous_id:', if(on_channel = 'app', 'app-', 'cookie-'), toString(customer), '-', toString(intDiv(visit, {customers:UInt64}) % 3)),
    on_channel, 'web', ['direct', 'google', 'social', 'newsletter'][dice % 4 + 1],
    if(dice % 4 = 3, concat('campaign-', toString(dice % 30)), ''), if(on_channel = 'store', concat('store-', toString(dice % 20)), ''),
    ['desktop', 'mobile', 'tablet'][dice % 3 + 1], reinterpretAsUUID(sipHash128(visit)),
    reinterpretAsUUID(sipHash128('customer', customer)), false, 1, 1, false, 0, visit
FROM numbers({first:UInt64}, {count:UInt64})
WHERE dice % 8 = 0;

INSERT INTO order_lines
(
    workspace, message_id, timeline, occurred_at, order_namespace, order_id, order_kind, line, product_id, name, quantity,
    price, currency, channel, source, kafka_partition, kafka_offset, kafka_epoch
)
WITH number AS visit, visit % {customers:UInt64} AS customer, sipHash64(visit) AS dice
SELECT
    'w0', concat('m', toString(4 * visit + 3)), concat('anonymous_id:cookie-', toString(customer), '-0'),
    fromUnixTimestamp64Milli(toInt64({now:UInt64} - 420 - dice % 7776000) * 1000, 'UTC'), 'online', toString(visit), 'placed',
    arrayJoin([1, 2]) AS line, concat('p', toString((dice + line) % 500)), concat('Product ', toString((dice + line) % 500)), 1,
    5 + dice % 40, 'EUR', 'web', 'web', 0, visit, 'e'
FROM numbers({first:UInt64}, {count:UInt64})
WHERE dice % 8 = 0;

INSERT INTO answers
(
    workspace, message_id, timeline, occurred_at, channel, source, store, subject, answer, question_id, wording, kind, aspect,
    scale, value, comment, product, touchpoint, session_id, profile_id, kafka_partition, kafka_offset, kafka_epoch
)
WITH number AS visit, visit % {customers:UInt64} AS customer, sipHash64(visit) AS dice
SELECT
    'w0', concat('a', toString(visit)), concat('user_id:u', toString(customer)),
    fromUnixTimestamp64Milli(toInt64({now:UInt64} - dice % 7776000) * 1000, 'UTC'), 'store', 'web',
    concat('store-', toString(dice % 20)), 'customer', 1, 'recommend', 'How likely are you to recommend us?', 'touchpoint',
    if(dice % 200 = 1, 'nps', 'csat'), if(dice % 200 = 1, '0-10', '1-5'),
    toDecimal128(if(dice % 200 = 1, dice % 11, 1 + dice % 7 % 5), 6), if(dice % 3 = 0, 'We had to wait for long', ''), '',
    ['delivery', 'checkout', 'call'][1 + dice % 3], NULL,
    reinterpretAsUUID(sipHash128('customer', customer)), 0, visit, 'e'
FROM numbers({first:UInt64}, {count:UInt64})
WHERE dice % 100 = 1;

-- Of a fiftieth of the customers it was learned later that one of their cookies is somebody else's.
INSERT INTO overrides
(
    workspace, timeline, page, revision, range_from, range_to, range_session, range_profile, message_id, message_session,
    message_profile, kafka_partition, kafka_offset
)
WITH number AS visit, visit % {customers:UInt64} AS customer, sipHash64(visit) AS dice,
    fromUnixTimestamp64Milli(toInt64({now:UInt64} - 600 - dice % 7776000) * 1000, 'UTC') AS time
SELECT
    'w0', concat('anonymous_id:cookie-', toString(customer), '-', toString(intDiv(visit, {customers:UInt64}) % 3)), visit, 1,
    [time], [time + INTERVAL 3 MINUTE], [reinterpretAsUUID(sipHash128(visit))],
    [reinterpretAsUUID(sipHash128('customer', customer + 1))], [], [], [], 0, visit
FROM numbers({first:UInt64}, {count:UInt64})
WHERE customer % 50 = 0 AND intDiv(visit, {customers:UInt64}) % 3 = 1;

INSERT INTO profiles
(
    workspace, profile_id, identifiers, traits, first_seen, last_seen, sessions, touchpoints, orders, revenue, channels,
    spending, first_order, last_order, revision, gone, kafka_partition, kafka_offset
)
WITH number AS customer, sipHash64(customer) AS dice, fromUnixTimestamp64Milli(toInt64({now:UInt64} - dice % 7776000) * 1000, 'UTC') AS time
SELECT
    'w0', reinterpretAsUUID(sipHash128('customer', customer)),
    [('user_id', concat('u', toString(customer))), ('email', concat('u', toString(customer), '@shop.example')),
        ('anonymous_id', concat('cookie-', toString(customer), '-0')), ('anonymous_id', concat('cookie-', toString(customer), '-1')),
        ('anonymous_id', concat('cookie-', toString(customer), '-2'))],
    concat('{"city": "city ', toString(dice % 90), '", "plan": "plus"}'), time, time + INTERVAL 9 DAY, 5, 20, dice % 3,
    if(dice % 3 = 0, map(), map('EUR', toDecimal128(20 + dice % 300, 6))), ['app', 'web'],
    if(dice % 3 = 0, [], [('EUR', dice % 3, 20 + dice % 300, 0)]), if(dice % 3 = 0, NULL, time), if(dice % 3 = 0, NULL, time), 1, false, 0,
    customer
FROM numbers(intDiv({first:UInt64}, 5), intDiv({count:UInt64}, 5));

INSERT INTO identity_states
(
    workspace, identifier_type, identifier_value, own_profile_id, profile_id, hub, span_profile, span_from, span_to, revision,
    gone, kafka_partition, kafka_offset
)
WITH number AS customer, reinterpretAsUUID(sipHash128('customer', customer)) AS profile
SELECT
    'w0', i.1, i.2, profile, profile, false, [profile], [toDateTime64(0, 3, 'UTC')], [toDateTime64('2299-12-31 00:00:00', 3, 'UTC')], 1,
    false, 0, customer
FROM numbers(intDiv({first:UInt64}, 5), intDiv({count:UInt64}, 5))
ARRAY JOIN [('user_id', concat('u', toString(customer))), ('email', concat('u', toString(customer), '@shop.example')),
    ('anonymous_id', concat('cookie-', toString(customer), '-0')), ('anonymous_id', concat('cookie-', toString(customer), '-1')),
    ('anonymous_id', concat('cookie-', toString(customer), '-2'))] AS i;

INSERT INTO kpis
(
    workspace, kpi, window, currency, dimension, dimension_value, block_start, step_ms, marks, numerators, denominators,
    revision, kafka_partition, kafka_offset
)
WITH
    arrayConcat(
        arrayMap(kpi -> (kpi, ''), splitByChar(' ', {kpis:String})),
        arrayMap(n -> ('revenue', concat('product p', toString(n))), range(500)),
        arrayMap(n -> ('visitors', concat('campaign campaign-', toString(n))), range(30)),
        arrayMap(n -> ('visitors', concat('store store-', toString(n))), range(20)),
        arrayMap(value -> ('visitors', concat('channel ', value)), ['web', 'app', 'store']),
        arrayMap(value -> ('recognition_rate', concat('channel ', value)), ['web', 'app', 'store']),
        arrayMap(value -> ('conversion_rate', concat('source ', value)), ['direct', 'google', 'social', 'newsletter']),
        arrayMap(value -> ('mentions', concat('sentiment ', value)), ['positive', 'neutral', 'negative']),
        arrayMap(value -> ('lifecycle', concat('status ', value)), ['visitor', 'prospect', 'customer', 'lapsed', 'won_back']),
        arrayFlatten(arrayMap(kpi -> arrayMap(n -> (kpi, concat('campaign campaign-', toString(n))), range(30)),
            ['email_delivered', 'email_open_rate', 'email_click_rate', 'email_unsubscribe_rate', 'spend', 'cost_per_lead']))) AS series
SELECT
    'w0', s.1 AS name, w.1, if(name IN ('revenue', 'margin', 'lifetime_value', 'average_order_value', 'spend', 'cost_per_lead'), 'EUR', ''),
    splitByChar(' ', s.2)[1], if(s.2 = '', '', splitByChar(' ', s.2)[2]),
    fromUnixTimestamp64Milli((intDiv(toInt64({now:UInt64}) * 1000, w.2 * w.3) - block) * w.2 * w.3, 'UTC'), w.2, range(w.3),
    arrayMap(m -> toDecimal128(sipHash64(name, block, m) % 1000, 6), range(w.3)), arrayMap(m -> toInt64(1 + m), range(w.3)), 1, 0, 0
FROM
(
    SELECT arrayJoin(series) AS s, arrayJoin([('1h', 60000, 60, 192), ('24h', 900000, 96, 90), ('7d', 3600000, 168, 13),
        ('30d', 3600000, 168, 13), ('90d', 3600000, 168, 13), ('365d', 86400000, 32, 3)]) AS w
)
ARRAY JOIN range(1, w.4) AS block;
