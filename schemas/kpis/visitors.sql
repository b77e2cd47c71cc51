-- Distinct customers with at least one active touchpoint in the window.
--
-- Parameters of this and the other files: workspace; length and step, in milliseconds, of the window and between its
-- marks; first and last, the marks to compute, as numbers of steps since 1970. A window holds (mark - length, mark].
-- One mark for a window of 7 days, say: length 604800000, step 3600000, first = last = Unix time / 3600.

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
            toInt64(ceil(toUnixTimestamp64Milli(t.occurred_at) / {step:Int64})) AS first_mark,
            [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                ('source', s.source), ('campaign', s.campaign)] AS dimensions
        FROM touchpoints_current AS t
        INNER JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.activity = 'active' AND t.profile_id IS NOT NULL
    )
SELECT '' AS currency, dimension, dimension_value, mark, toDecimal128(uniqExact(profile_id), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT DISTINCT profile_id, first_mark, d.1 AS dimension, d.2 AS dimension_value
    FROM active
    ARRAY JOIN dimensions AS d
    WHERE dimension = '' OR dimension_value != ''
)
ARRAY JOIN range(greatest(first_mark, {first:Int64}), least(first_mark + intDiv({length:Int64}, {step:Int64}), {last:Int64} + 1)) AS mark
GROUP BY dimension, dimension_value, mark
