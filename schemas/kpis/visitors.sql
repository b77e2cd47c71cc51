-- Distinct customers with at least one active touchpoint in the window.
--
-- Parameters of this and the other files: workspace, and windows: for each its name, its length and the distance of its
-- marks in milliseconds, and the first and last mark to compute, as numbers of such distances since 1970. A window holds
-- (mark - length, mark]. The last 7 days up to 10:00 UTC of 1 November 2026, say: [('7d', 604800000, 3600000, 498202, 498202)].
-- Rows of a sum of 0, or of a denominator of 0, are none in kpis_current.

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
            t.profile_id AS profile_id,
            t.occurred_at AS at,
            [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                ('source', s.source), ('campaign', s.campaign)] AS dimensions
        FROM touchpoints_current AS t
        INNER JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.activity = 'active' AND t.profile_id IS NOT NULL
    )
SELECT
    '' AS currency, dimension, dimension_value, window, mark,
    toDecimal128(uniqExact(profile_id), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT profile_id, d.1 AS dimension, d.2 AS dimension_value, w.name AS window,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM
    (
        SELECT DISTINCT
            profile_id, arrayJoin(dimensions) AS d,
            arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
            toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark
        FROM active
    )
    WHERE dimension = '' OR dimension_value != ''
)
GROUP BY dimension, dimension_value, window, mark
