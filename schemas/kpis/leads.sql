-- Distinct profiles with a qualified lead event in the window.
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
    -- Events of the goal lead; who says that one is not qualified makes a contact of it only, and so does a source that
    -- qualifies leads by saying nothing.
    leads AS
    (
        SELECT
            t.profile_id AS profile_id, t.occurred_at AS at,
            lower(coalesce(toString(t.properties.qualified.:Bool), t.properties.qualified.:String, '')) AS stated,
            if(stated IN ('true', 'false'), stated = 'true', NOT has({qualifying_sources:Array(String)}, t.source)) AS qualified,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                    ('source', if(t.session_id IS NULL, t.traffic_source, s.source)),
                    ('campaign', if(t.session_id IS NULL, t.campaign, s.campaign))]) AS dimensions
        FROM touchpoints_current AS t
        LEFT JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.type = 'track' AND t.subject = 'customer' AND t.profile_id IS NOT NULL
            AND has({goals:Map(String, Array(String))}['lead'], t.event)
    )
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(uniqExact(profile_id), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        profile_id, arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM leads
    WHERE qualified
)
GROUP BY dimension, dimension_value, window, mark
