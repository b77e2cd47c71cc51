-- Different people who saw a post, as last reported in the window. Who saw two posts is one person, so reach is never added:
-- by post only.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    reports AS
    (
        SELECT
            occurred_at AS at, message_id, timeline, assumeNotNull(properties.post_id.:String) AS post_id,
            properties.reach.:Int64 AS counted,
            [('post', post_id)] AS dimensions
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND type = 'track' AND event = 'Post Reported' AND subject = 'source' AND NOT bot
            -- What is called as the rest of a dimension is may be any.
            AND post_id != 'other'
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
