-- Who ordered or gave an NPS or a CSAT up to the mark, by attitude and repeat purchase, at the marks of every window.
-- Attitude is the last NPS: high from 9 on, low up to 6 (kpi.attitude); else the last CSAT: satisfied is high, not satisfied is low.
-- Repeat purchase is two orders or more in the days that make a customer (Dick and Basu 1994).
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
    notes AS
    (
        SELECT
            assumeNotNull(t.profile_id) AS profile_id, toInt64(ceil(toUnixTimestamp64Milli(a.occurred_at) / 60000)) AS minute,
            a.aspect = 'nps' AS recommends,
            multiIf(recommends, multiIf(value >= {high_attitude:UInt8}, 1, value <= {low_attitude:UInt8}, -1, 0), (a.scale = 'yes-no' AND value = 1) OR (a.scale = '1-5' AND value >= 4), 1, -1) AS note,
            (a.occurred_at, a.message_id, a.timeline, '', toInt64(a.answer)) AS place
        FROM answers AS a
        INNER JOIN touchpoints_current AS t
            ON t.workspace = a.workspace AND t.timeline = a.timeline AND t.message_id = a.message_id
        WHERE a.workspace = {workspace:String} AND a.value IS NOT NULL AND t.profile_id IS NOT NULL
            AND ((a.aspect = 'nps' AND a.scale IN ('0-10', '1-10')) OR (a.aspect = 'csat' AND a.scale IN ('1-5', 'yes-no')))
    ),
    -- What each turn of a profile brings, in order of time.
    histories AS
    (
        SELECT profile_id,
            arraySort(groupArrayIf(minute, what = 'order')) AS ordered,
            arrayMap(x -> (x.2, x.3), arraySort(groupArrayIf((place, minute, note), what = 'nps'))) AS nps,
            arrayMap(x -> (x.2, x.3), arraySort(groupArrayIf((place, minute, note), what = 'csat'))) AS csat
        FROM
        (
            SELECT profile_id, minute, if(recommends, 'nps', 'csat') AS what, note, place FROM notes
            UNION ALL
            SELECT assumeNotNull(profile_id), minute, 'order', 0, (at, message_id, timeline, '', toInt64(0)) FROM orders
        )
        GROUP BY profile_id
    ),
    turns AS
    (
        SELECT
            ordered, nps, csat,
            arraySort(arrayDistinct(arrayConcat(ordered, arrayMap(m -> m + {customer_days:Int64} * 1440, ordered),
                arrayMap(x -> x.1, nps), arrayMap(x -> x.1, csat)))) AS minutes,
            arrayJoin(arrayZip(minutes, arrayPushBack(arrayPopFront(minutes), toInt64(1000000000000)))) AS turn,
            arrayCount(m -> m > turn.1 - {customer_days:Int64} * 1440 AND m <= turn.1, ordered) >= 2 AS again,
            arrayLast(x -> x.1 <= turn.1, nps).2 AS recommends,
            arrayLast(x -> x.1 <= turn.1, csat).2 AS satisfied,
            if(recommends != 0, recommends, satisfied) AS attitude,
            multiIf(attitude = 1 AND again, 'true', attitude = 1, 'latent', attitude = -1 AND again, 'spurious', attitude = -1, 'none', 'unknown') AS quadrant
        FROM histories
    ),
    steps AS
    (
        SELECT 'quadrant' AS dimension, quadrant AS dimension_value, arrayJoin([(turn.1, 1), (turn.2, -1)]) AS step,
            step.1 AS minute, step.2 AS n, 0 AS d
        FROM turns
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
