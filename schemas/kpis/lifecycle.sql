-- Profiles by status at the mark, at the marks of every window: visitor from the first active touchpoint; prospect from
-- the first qualified lead, or where the profile holds an address from the first touchpoint of any kind; customer from the
-- first order, as in customers.sql; lapsed after that; won back with the next order.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    sessions AS
    (
        SELECT
            session_id,
            argMin(traffic_source, (occurred_at, message_id, timeline)) AS source,
            argMin(campaign, (occurred_at, message_id, timeline)) AS campaign
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND session_id IS NOT NULL
        GROUP BY session_id
    ),
    orders AS
    (
        SELECT
            t.order_namespace AS order_namespace, t.order_id AS order_id, t.profile_id AS profile_id, t.occurred_at AS at,
            t.message_id AS message_id, t.timeline AS timeline,
            -- Marks are whole minutes: at the first after it, it counts.
            toInt64(ceil(toUnixTimestamp64Milli(at) / 60000)) AS minute,
            t.currency AS currency, ifNull(t.revenue, 0) AS total, t.margin AS margin,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                    ('source', if(t.session_id IS NULL, t.traffic_source, s.source)),
                    ('campaign', if(t.session_id IS NULL, t.campaign, s.campaign))]) AS dimensions
        FROM touchpoints_current AS t
        LEFT JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.order_kind = 'placed' AND t.profile_id IS NOT NULL
        ORDER BY t.occurred_at, t.message_id, t.timeline
        LIMIT 1 BY order_namespace, order_id
    ),
    -- Events of the goal lead; who says that one is not qualified makes a contact of it only, and so does a source that
    -- qualifies leads by saying nothing.
    leads AS
    (
        SELECT
            t.profile_id AS profile_id, t.occurred_at AS at,
            lower(coalesce(toString(t.properties.qualified.:Bool), t.properties.qualified.:String, '')) AS stated,
            if(stated IN ('true', 'false'), stated = 'true', NOT has({qualifying_sources:Array(String)}, t.source)) AS qualified,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                    ('source', if(t.session_id IS NULL, t.traffic_source, s.source)),
                    ('campaign', if(t.session_id IS NULL, t.campaign, s.campaign))]) AS dimensions
        FROM touchpoints_current AS t
        LEFT JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.type = 'track' AND t.subject = 'customer' AND t.profile_id IS NOT NULL
            AND has({goals:Map(String, Array(String))}['lead'], t.event)
    ),
    -- From an order until so many days after it one is a customer; orders within that time make one spell.
    spells AS
    (
        SELECT
            profile_id, arraySort(groupArray(minute)) AS minutes, {customer_days:Int64} * 1440 AS length,
            arrayMap(spell -> (spell[1], spell[-1] + length),
                arraySplit((minute, gap) -> gap > length, minutes, arrayDifference(minutes))) AS spells
        FROM (SELECT assumeNotNull(profile_id) AS profile_id, minute FROM orders)
        GROUP BY profile_id
    ),
    known AS
    (
        SELECT profile_id, arrayExists(i -> i.1 IN ('email', 'phone'), identifiers) AS has_address
        FROM profiles_current
        WHERE workspace = {workspace:String}
    ),
    met AS
    (
        SELECT assumeNotNull(t.profile_id) AS profile_id, min(t.occurred_at) AS first, minIf(t.occurred_at, t.activity = 'active') AS active,
            countIf(t.activity = 'active') AS actions
        FROM touchpoints_current AS t
        WHERE t.workspace = {workspace:String} AND t.profile_id IS NOT NULL
        GROUP BY profile_id
    ),
    led AS
    (
        SELECT assumeNotNull(profile_id) AS profile_id, min(at) AS first FROM leads WHERE qualified GROUP BY profile_id
    ),
    -- Each status with the minutes from which and up to which it holds; what never comes is far beyond the last mark.
    statuses AS
    (
        SELECT
            toInt64(1000000000000) AS never,
            if(m.actions > 0, toInt64(ceil(toUnixTimestamp64Milli(m.active) / 60000)), never) AS visited,
            if(l.profile_id = m.profile_id, toInt64(ceil(toUnixTimestamp64Milli(l.first) / 60000)), never) AS lead,
            least(lead, if(k.has_address, toInt64(ceil(toUnixTimestamp64Milli(m.first) / 60000)), never)) AS prospect,
            if(empty(s.spells), never, s.spells[1].1) AS ordered,
            arrayPushBack(arrayPopFront(arrayMap(spell -> spell.1, s.spells)), never) AS again,
            arrayJoin(arrayConcat(
                [('visitor', visited, least(prospect, ordered)), ('prospect', prospect, ordered)],
                arrayMap((spell, number) -> (if(number = 1, 'customer', 'won_back'), spell.1, spell.2), s.spells, arrayEnumerate(s.spells)),
                arrayMap((spell, next) -> ('lapsed', spell.2, next), s.spells, arrayResize(again, length(s.spells))))) AS status
        FROM met AS m
        LEFT JOIN led AS l ON l.profile_id = m.profile_id
        LEFT JOIN known AS k ON k.profile_id = m.profile_id
        LEFT JOIN spells AS s ON s.profile_id = m.profile_id
        WHERE status.2 < status.3
    ),
    steps AS
    (
        SELECT 'status' AS dimension, status.1 AS dimension_value, arrayJoin([(status.2, 1), (status.3, -1)]) AS step,
            step.1 AS minute, step.2 AS n, 0 AS d
        FROM statuses
    )
-- A value at a mark is the sum of all steps up to it, and stands until the next step; steps before the first mark that is
-- asked for stand at that one.
SELECT
    '' AS currency, dimension, dimension_value, window, arrayJoin(range(since, until)) AS mark,
    toDecimal128(n, 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        dimension, dimension_value, window, mark AS since,
        sum(sum(n)) OVER (series ROWS UNBOUNDED PRECEDING) AS n, sum(sum(d)) OVER (series ROWS UNBOUNDED PRECEDING) AS d,
        leadInFrame(mark, 1, any(last) + 1) OVER (series ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS until
    FROM
    (
        SELECT dimension, dimension_value, w.name AS window, w.last AS last, n, d,
            greatest(toInt64(ceil(minute * 60000 / w.step)), w.first) AS mark
        FROM steps
        ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
        WHERE mark <= w.last
    )
    GROUP BY dimension, dimension_value, window, mark
    WINDOW series AS (PARTITION BY dimension, dimension_value, window ORDER BY mark)
)
WHERE n != 0 OR d != 0
