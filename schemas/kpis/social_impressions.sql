-- How often posts were seen, as last reported of each in the window.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    reports AS
    (
        SELECT
            occurred_at AS at, message_id, timeline, assumeNotNull(properties.post_id.:String) AS post_id,
            properties.impressions.:Int64 AS counted,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('network', ifNull(properties.network.:String, '')), ('post', post_id),
                    ('influencer', ifNull(properties.influencer.:String, ''))]) AS dimensions
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND type = 'track' AND event = 'Post Reported' AND subject = 'source' AND NOT bot
            AND counted IS NOT NULL
    ),
    -- At each mark the last report of the post in the window.
    latest AS
    (
        SELECT window, mark, argMax((assumeNotNull(counted), dimensions), (at, message_id, timeline)) AS last
        FROM
        (
            SELECT
                at, message_id, timeline, post_id, counted, dimensions,
                arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
                w.name AS window,
                toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
                arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
            FROM reports
        )
        GROUP BY post_id, window, mark
    )
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(sum(counted), 6) AS numerator, toInt64(1) AS denominator
FROM (SELECT window, mark, last.1 AS counted, arrayJoin(last.2) AS d FROM latest)
GROUP BY dimension, dimension_value, window, mark
