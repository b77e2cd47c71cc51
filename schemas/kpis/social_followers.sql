-- Followers, as last known of each account up to the mark.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    reports AS
    (
        SELECT
            toInt64(ceil(toUnixTimestamp64Milli(occurred_at) / 60000)) AS minute, properties.followers.:Int64 AS followers,
            -- The next word of the account; where there is none, far beyond the last mark.
            leadInFrame(minute, 1, toInt64(1000000000000)) OVER (
                PARTITION BY properties.network.:String, properties.account.:String ORDER BY occurred_at, message_id, timeline
                ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('network', ifNull(properties.network.:String, '')),
                    ('influencer', ifNull(properties.influencer.:String, ''))]) AS dimensions
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND type = 'track' AND event = 'Followers Reported' AND subject = 'source' AND NOT bot
    )
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(sum(followers), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        followers, arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(minute * 60000 / w.step)) AS from, toInt64(ceil(next * 60000 / w.step)) AS until,
        arrayJoin(range(greatest(from, w.first), least(until, w.last + 1))) AS mark
    FROM reports
)
GROUP BY dimension, dimension_value, window, mark
