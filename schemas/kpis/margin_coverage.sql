-- Orders placed in the window that state a margin, of all orders placed in it.
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
    )
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(countIf(margin IS NOT NULL), 6) AS numerator, toInt64(count()) AS denominator
FROM
(
    SELECT
        margin,
        arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM orders
)
GROUP BY dimension, dimension_value, window, mark
