-- A hundred times promoters (9 and 10) less detractors (1 to 6), by answer, on the scale from 1 to 10: never pooled with
-- that from 0 to 10. An answer without a person counts, too.
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
    notes AS
    (
        SELECT
            a.occurred_at AS at, assumeNotNull(a.value) AS note, a.scale AS scale,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                    ('source', if(t.session_id IS NULL, t.traffic_source, s.source)),
                    ('campaign', if(t.session_id IS NULL, t.campaign, s.campaign)),
                    ('product', a.product), ('question', a.question_id), ('touchpoint', a.touchpoint)]) AS dimensions
        FROM answers AS a
        INNER JOIN touchpoints_current AS t
            ON t.workspace = a.workspace AND t.timeline = a.timeline AND t.message_id = a.message_id
        LEFT JOIN sessions AS s ON s.session_id = t.session_id
        WHERE a.workspace = {workspace:String} AND a.aspect = 'nps' AND a.scale = '1-10' AND a.value IS NOT NULL
            AND NOT t.bot AND (t.profile_id IS NOT NULL OR t.subject = 'source')
    )
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(100 * (countIf(note >= 9) - countIf(note <= 6)), 6) AS numerator, toInt64(count()) AS denominator
FROM
(
    SELECT
        note, scale, arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM notes
)
GROUP BY dimension, dimension_value, window, mark
