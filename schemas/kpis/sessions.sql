-- Sessions that began in the window.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH sessions AS
(
    SELECT
        session_id,
        min(t.occurred_at) AS at,
        argMin((channel, store, device_type, traffic_source, campaign), (t.occurred_at, message_id, timeline)) AS begun,
        arrayFilter(d -> d.1 = '' OR d.2 != '',
            [('', ''), ('channel', begun.1), ('store', begun.2), ('device_type', begun.3), ('source', begun.4), ('campaign', begun.5)])
            AS dimensions
    FROM touchpoints_current AS t
    WHERE workspace = {workspace:String} AND session_id IS NOT NULL AND profile_id IS NOT NULL
    GROUP BY session_id
)
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(count(), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM sessions
)
GROUP BY dimension, dimension_value, window, mark
