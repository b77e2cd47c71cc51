-- Sessions that began in the window, by the traffic source of their first touchpoint.

SELECT '' AS currency, 'source' AS dimension, begun_by AS dimension_value, mark, toDecimal128(count(), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        toInt64(ceil(toUnixTimestamp64Milli(min(t.occurred_at)) / {step:Int64})) AS first_mark,
        argMin(traffic_source, (t.occurred_at, message_id, timeline)) AS begun_by
    FROM touchpoints_current AS t
    WHERE workspace = {workspace:String} AND session_id IS NOT NULL AND profile_id IS NOT NULL
    GROUP BY session_id
)
ARRAY JOIN range(greatest(first_mark, {first:Int64}), least(first_mark + intDiv({length:Int64}, {step:Int64}), {last:Int64} + 1)) AS mark
WHERE begun_by != ''
GROUP BY begun_by, mark
