-- Sessions that began in the window.

WITH sessions AS
(
    SELECT
        session_id,
        toInt64(ceil(toUnixTimestamp64Milli(min(t.occurred_at)) / {step:Int64})) AS first_mark,
        argMin((channel, store, device_type, traffic_source, campaign), (t.occurred_at, message_id, timeline)) AS begun,
        [('', ''), ('channel', begun.1), ('store', begun.2), ('device_type', begun.3), ('source', begun.4), ('campaign', begun.5)]
            AS dimensions
    FROM touchpoints_current AS t
    WHERE workspace = {workspace:String} AND session_id IS NOT NULL AND profile_id IS NOT NULL
    GROUP BY session_id
)
SELECT '' AS currency, dimension, dimension_value, mark, toDecimal128(count(), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT first_mark, d.1 AS dimension, d.2 AS dimension_value
    FROM sessions
    ARRAY JOIN dimensions AS d
    WHERE dimension = '' OR dimension_value != ''
)
ARRAY JOIN range(greatest(first_mark, {first:Int64}), least(first_mark + intDiv({length:Int64}, {step:Int64}), {last:Int64} + 1)) AS mark
GROUP BY dimension, dimension_value, mark
