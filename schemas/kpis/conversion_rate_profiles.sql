-- Profiles with an event of the goal in the window, on any channel, of the visitors. The goal is `purchase`, but in
-- dimension goal, where it is each, of all visitors.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    sessions AS
    (
        SELECT
            session_id,
            argMin(traffic_source, (occurred_at, message_id, timeline)) AS source,
            argMin(campaign, (occurred_at, message_id, timeline)) AS campaign
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND session_id IS NOT NULL
        GROUP BY session_id
    ),
    active AS
    (
        SELECT
            t.profile_id AS profile_id, t.occurred_at AS at, t.type AS type, t.event AS event,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                    ('source', s.source), ('campaign', s.campaign)]) AS dimensions
        FROM touchpoints_current AS t
        INNER JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.activity = 'active' AND t.profile_id IS NOT NULL
    ),
    -- Each touchpoint as a visitor's, and where it reaches a goal as one who does.
    facts AS
    (
        SELECT profile_id, at, dimensions, type = 'track' AND has({goals:Map(String, Array(String))}['purchase'], event) AS reaches
        FROM active
        UNION ALL
        SELECT profile_id, at, [('goal', goal)], type = 'track' AND has({goals:Map(String, Array(String))}[goal], event)
        FROM active
        ARRAY JOIN mapKeys({goals:Map(String, Array(String))}) AS goal
    )
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(uniqExactIf(profile_id, reaches), 6) AS numerator, toInt64(uniqExact(profile_id)) AS denominator
FROM
(
    -- Touchpoints that begin to count at the same mark are as one.
    SELECT
        profile_id, reaches, d, w.name AS window,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM
    (
        SELECT DISTINCT
            profile_id, reaches, arrayJoin(dimensions) AS d, arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
            toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark
        FROM facts
    )
)
GROUP BY dimension, dimension_value, window, mark
