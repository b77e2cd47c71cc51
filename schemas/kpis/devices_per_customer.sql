-- Device ids of the profiles that hold a person identifier and were active in the window, by such profile. person_types:
-- the types of identifiers that name persons, by the rules: ['user_id', 'email'].
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
    people AS
    (
        SELECT profile_id, countIf(i.1 = 'device_id') AS held
        FROM profiles_current
        ARRAY JOIN identifiers AS i
        WHERE workspace = {workspace:String}
        GROUP BY profile_id
        HAVING countIf(has({person_types:Array(String)}, i.1)) > 0
    ),
    facts AS
    (
        SELECT a.profile_id AS profile_id, a.at AS at, a.dimensions AS dimensions, p.held AS held
        FROM active AS a
        INNER JOIN people AS p ON p.profile_id = a.profile_id
    )
SELECT
    '' AS currency, dimension, dimension_value, window, mark,
    toDecimal128(sum(held), 6) AS numerator, toInt64(count()) AS denominator
FROM
(
    -- Touchpoints that begin to count at the same mark are as one.
    SELECT DISTINCT
        profile_id, held, d.1 AS dimension, d.2 AS dimension_value, w.name AS window,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM
    (
        SELECT DISTINCT
            profile_id, held, arrayJoin(dimensions) AS d, arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
            toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark
        FROM facts
    )
)
GROUP BY dimension, dimension_value, window, mark
