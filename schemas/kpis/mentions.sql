-- How often somebody spoke of the brand on social networks.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    mentioned AS
    (
        SELECT
            occurred_at AS at,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('network', ifNull(properties.network.:String, '')), ('post', ifNull(properties.post_id.:String, '')),
                    ('influencer', ifNull(properties.influencer.:String, '')), ('sentiment', properties.sentiment.:String)]) AS dimensions
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND type = 'track' AND event = 'Brand Mentioned' AND NOT bot
            AND (profile_id IS NOT NULL OR subject = 'source')
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
    FROM mentioned
)
GROUP BY dimension, dimension_value, window, mark
