-- Events of the goal in web and app sessions, by session.
-- The goal is `purchase`, but in dimension goal, where it is each. goals: the names of the events of each goal, as the
-- configuration has them: {'purchase':['Order Completed']}.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH sessions AS
(
    SELECT
        session_id,
        min(t.occurred_at) AS at,
        argMin((channel, store, device_type, traffic_source, campaign), (t.occurred_at, message_id, timeline)) AS begun,
        groupArrayIf(event, type = 'track') AS events,
        arrayConcat(
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', '', 'purchase'), ('channel', begun.1, 'purchase'), ('store', begun.2, 'purchase'),
                    ('device_type', begun.3, 'purchase'), ('source', begun.4, 'purchase'), ('campaign', begun.5, 'purchase')]),
            arrayMap(goal -> ('goal', goal, goal), mapKeys({goals:Map(String, Array(String))})))
            AS dimensions
    FROM touchpoints_current AS t
    WHERE workspace = {workspace:String} AND session_id IS NOT NULL AND profile_id IS NOT NULL
    GROUP BY session_id
    HAVING begun.1 IN ('web', 'app')
)
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(sum(arrayCount(event -> has({goals:Map(String, Array(String))}[d.3], event), events)), 6) AS numerator, toInt64(count()) AS denominator
FROM
(
    SELECT
        events,
        arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM sessions
)
GROUP BY dimension, dimension_value, window, mark
