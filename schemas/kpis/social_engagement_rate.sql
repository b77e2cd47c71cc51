-- The engagement of a post by its reach, each as last reported in the window; by post only, as reach is. None without reach.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    reports AS
    (
        SELECT
            occurred_at AS at, message_id, timeline, assumeNotNull(properties.post_id.:String) AS post_id,
            properties.reach.:Int64 AS reach,
            if(properties.likes.:Int64 IS NULL AND properties.shares.:Int64 IS NULL AND properties.comments.:Int64 IS NULL
                    AND properties.clicks.:Int64 IS NULL,
                NULL,
                ifNull(properties.likes.:Int64, 0) + ifNull(properties.shares.:Int64, 0) + ifNull(properties.comments.:Int64, 0)
                    + ifNull(properties.clicks.:Int64, 0)) AS engagement
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND type = 'track' AND event = 'Post Reported' AND subject = 'source' AND NOT bot
            -- What is called as the rest of a dimension is may be any.
            AND post_id != 'other'
    )
SELECT
    '' AS currency, 'post' AS dimension, post_id AS dimension_value, window, mark,
    toDecimal128(argMaxIf(assumeNotNull(engagement), (at, message_id, timeline), engagement IS NOT NULL), 6) AS numerator,
    toInt64(argMaxIf(assumeNotNull(reach), (at, message_id, timeline), reach IS NOT NULL)) AS denominator
FROM
(
    SELECT
        at, message_id, timeline, post_id, reach, engagement,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM reports
)
GROUP BY post_id, window, mark
