-- Of the customers at the window's start, those who are customers at its end. Customers are as in customers.sql.

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
    -- From an order until so many days after it one is a customer; orders within that time make one spell.
    spells AS
    (
        SELECT profile_id, dimension, dimension_value, min(minute) AS since, max(minute) + {customer_days:Int64} * 1440 AS until
        FROM
        (
            SELECT *, sum(begins) OVER (PARTITION BY profile_id, dimension, dimension_value ORDER BY minute ROWS UNBOUNDED PRECEDING) AS number
            FROM
            (
                SELECT *, minute > lagInFrame(minute, 1, -1000000000) OVER
                    (PARTITION BY profile_id, dimension, dimension_value ORDER BY minute ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
                    + {customer_days:Int64} * 1440 AS begins
                FROM (SELECT profile_id, minute, d.1 AS dimension, d.2 AS dimension_value FROM orders ARRAY JOIN dimensions AS d)
            )
        )
        GROUP BY profile_id, dimension, dimension_value, number
    ),
    -- Who was a customer at a window's start is asked about at its end, a window's length later.
    asked AS
    (
        SELECT profile_id, dimension, dimension_value, w.name AS window, since + intDiv(w.length, 60000) AS since, until + intDiv(w.length, 60000) AS until
        FROM spells
        ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
    ),
    kept AS
    (
        SELECT a.dimension AS dimension, a.dimension_value AS dimension_value, a.window AS window,
            greatest(a.since, s.since) AS since, least(a.until, s.until) AS until
        FROM asked AS a
        INNER JOIN spells AS s ON s.profile_id = a.profile_id AND s.dimension = a.dimension AND s.dimension_value = a.dimension_value
        WHERE since < until
    ),
    steps AS
    (
        SELECT dimension, dimension_value, window, since AS minute, 0 AS n, 1 AS d FROM asked
        UNION ALL
        SELECT dimension, dimension_value, window, until, 0, -1 FROM asked
        UNION ALL
        SELECT dimension, dimension_value, window, since, 1, 0 FROM kept
        UNION ALL
        SELECT dimension, dimension_value, window, until, -1, 0 FROM kept
    )
-- A value at a mark is the sum of all steps up to it; those before the first mark that is asked for stand at that one.
SELECT
    '' AS currency, dimension, dimension_value, window, mark,
    toDecimal128(sum(sum(n)) OVER marks, 6) AS numerator, toInt64(sum(sum(d)) OVER marks) AS denominator
FROM
(
    SELECT dimension, dimension_value, w.name AS window, n, d,
        greatest(toInt64(ceil(minute * 60000 / w.step)), w.first) AS mark
    FROM steps
    ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
    WHERE mark <= w.last AND steps.window = w.name
    UNION ALL
    SELECT dimension, dimension_value, w.name AS window, 0 AS n, 0 AS d, arrayJoin(range(w.first, w.last + 1)) AS mark
    FROM (SELECT DISTINCT dimension, dimension_value FROM steps)
    ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
)
GROUP BY dimension, dimension_value, window, mark
WINDOW marks AS (PARTITION BY dimension, dimension_value, window ORDER BY mark ROWS UNBOUNDED PRECEDING)
