-- Of the customers at the window's start, those who are none at its end: 1 less retention. Customers are as in
-- customers.sql.
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
    -- From an order until so many days after it one is a customer; orders within that time make one spell.
    spells AS
    (
        SELECT
            profile_id, dimension, dimension_value, arraySort(groupArray(minute)) AS minutes, {customer_days:Int64} * 1440 AS length,
            arrayMap(spell -> (spell[1], spell[-1] + length),
                arraySplit((minute, gap) -> gap > length, minutes, arrayDifference(minutes))) AS spells
        FROM (
            SELECT assumeNotNull(profile_id) AS profile_id, minute, d.1 AS dimension, d.2 AS dimension_value
            FROM orders
            ARRAY JOIN dimensions AS d
        )
        GROUP BY profile_id, dimension, dimension_value
    ),
    -- Who was a customer at a window's start is asked about at its end, a window's length later.
    steps AS
    (
        SELECT
            dimension, dimension_value, w.name AS window, intDiv(w.length, 60000) AS later,
            arrayJoin(arrayMap(spell -> (spell.1 + later, spell.2 + later), spells)) AS asked,
            arrayFilter(kept -> kept.1 < kept.2,
                arrayMap(spell -> (greatest(spell.1, asked.1), least(spell.2, asked.2)), spells)) AS kept,
            arrayJoin(arrayConcat(
                [(asked.1, 1, 1), (asked.2, -1, -1)],
                arrayMap(kept -> (kept.1, -1, 0), kept), arrayMap(kept -> (kept.2, 1, 0), kept))) AS step,
            step.1 AS minute, step.2 AS n, step.3 AS d
        FROM spells
        ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
    )
-- A value at a mark is the sum of all steps up to it, and stands until the next step; steps before the first mark that is
-- asked for stand at that one.
SELECT
    '' AS currency, dimension, dimension_value, window, arrayJoin(range(since, until)) AS mark,
    toDecimal128(n, 6) AS numerator, toInt64(d) AS denominator
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
        WHERE mark <= w.last AND steps.window = w.name
    )
    GROUP BY dimension, dimension_value, window, mark
    WINDOW series AS (PARTITION BY dimension, dimension_value, window ORDER BY mark)
)
WHERE n != 0 OR d != 0
