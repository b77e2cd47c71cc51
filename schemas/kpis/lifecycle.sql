-- Profiles by status at the mark, at the marks of every window: visitor from the first active touchpoint; prospect from
-- the first qualified lead, or where the profile holds an address from the first touchpoint of any kind; customer from the
-- first order, as in customers.sql; lapsed after that; won back with the next order.

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
    -- Events of the goal lead; who says that one is not qualified makes a contact of it only.
    leads AS
    (
        SELECT
            t.profile_id AS profile_id, t.occurred_at AS at, ifNull(t.properties.qualified.:Bool, true) AS qualified,
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
        SELECT profile_id, min(minute) AS since, max(minute) + {customer_days:Int64} * 1440 AS until
        FROM
        (
            SELECT *, sum(begins) OVER (PARTITION BY profile_id ORDER BY minute ROWS UNBOUNDED PRECEDING) AS number
            FROM
            (
                SELECT *, minute > lagInFrame(minute, 1, -1000000000) OVER
                    (PARTITION BY profile_id ORDER BY minute ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
                    + {customer_days:Int64} * 1440 AS begins
                FROM orders
            )
        )
        GROUP BY profile_id, number
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
    -- One that never came is far beyond the last mark.
    acquainted AS
    (
        SELECT
            m.profile_id AS profile_id,
            toInt64(1000000000000) AS never,
            if(m.actions > 0, toInt64(ceil(toUnixTimestamp64Milli(m.active) / 60000)), never) AS visited,
            if(l.profile_id = m.profile_id, toInt64(ceil(toUnixTimestamp64Milli(l.first) / 60000)), never) AS lead,
            least(lead, if(k.has_address, toInt64(ceil(toUnixTimestamp64Milli(m.first) / 60000)), never)) AS prospect,
            if(o.profile_id = m.profile_id, o.minute, never) AS ordered
        FROM met AS m
        LEFT JOIN led AS l ON l.profile_id = m.profile_id
        LEFT JOIN known AS k ON k.profile_id = m.profile_id
        LEFT JOIN (SELECT assumeNotNull(profile_id) AS profile_id, min(minute) AS minute FROM orders GROUP BY profile_id) AS o ON o.profile_id = m.profile_id
    ),
    statuses AS
    (
        SELECT 'visitor' AS status, visited AS since, least(prospect, ordered) AS until FROM acquainted
        UNION ALL
        SELECT 'prospect', prospect, ordered FROM acquainted
        UNION ALL
        SELECT if(since = min(since) OVER (PARTITION BY profile_id), 'customer', 'won_back'), since, until FROM spells
        UNION ALL
        SELECT 'lapsed', until,
            leadInFrame(since, 1, toInt64(1000000000000)) OVER
                (PARTITION BY profile_id ORDER BY since ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
        FROM spells
    ),
    steps AS
    (
        SELECT 'status' AS dimension, status AS dimension_value, since AS minute, 1 AS n, 0 AS d FROM statuses WHERE since < until
        UNION ALL
        SELECT 'status', status, until, -1, 0 FROM statuses WHERE since < until
    )
-- A value at a mark is the sum of all steps up to it; those before the first mark that is asked for stand at that one.
SELECT
    '' AS currency, dimension, dimension_value, window, mark,
    toDecimal128(sum(sum(n)) OVER marks, 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT dimension, dimension_value, w.name AS window, n, d,
        greatest(toInt64(ceil(minute * 60000 / w.step)), w.first) AS mark
    FROM steps
    ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
    WHERE mark <= w.last
    UNION ALL
    SELECT dimension, dimension_value, w.name AS window, 0 AS n, 0 AS d, arrayJoin(range(w.first, w.last + 1)) AS mark
    FROM (SELECT DISTINCT dimension, dimension_value FROM steps)
    ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
)
GROUP BY dimension, dimension_value, window, mark
WINDOW marks AS (PARTITION BY dimension, dimension_value, window ORDER BY mark ROWS UNBOUNDED PRECEDING)
