-- Page and screen views in web and app sessions, by session.

WITH sessions AS
(
    SELECT
        session_id,
        toInt64(ceil(toUnixTimestamp64Milli(min(t.occurred_at)) / {step:Int64})) AS first_mark,
        argMin((channel, store, device_type, traffic_source, campaign), (t.occurred_at, message_id, timeline)) AS begun,
        countIf(type IN ('page', 'screen')) AS measure,
        arrayFilter(d -> d.1 = '' OR d.2 != '',
            [('', ''), ('channel', begun.1), ('store', begun.2), ('device_type', begun.3), ('source', begun.4), ('campaign', begun.5)])
            AS dimensions
    FROM touchpoints_current AS t
    WHERE workspace = {workspace:String} AND session_id IS NOT NULL AND profile_id IS NOT NULL
    GROUP BY session_id
    HAVING begun.1 IN ('web', 'app')
)
SELECT '' AS currency, d.1 AS dimension, d.2 AS dimension_value, mark, toDecimal128(sum(measure), 6) AS numerator, toInt64(count()) AS denominator
FROM (SELECT measure, first_mark, d FROM sessions ARRAY JOIN dimensions AS d)
ARRAY JOIN range(greatest(first_mark, {first:Int64}), least(first_mark + intDiv({length:Int64}, {step:Int64}), {last:Int64} + 1)) AS mark
GROUP BY dimension, dimension_value, mark
