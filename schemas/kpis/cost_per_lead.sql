-- What was spent in the window, by lead: distinct profiles with a qualified lead event in it. Leads have a cost in the
-- workspace's currency (currency). By campaign.
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
                [('', ''), ('campaign', if(t.session_id IS NULL, t.campaign, s.campaign))]) AS dimensions
        FROM touchpoints_current AS t
        LEFT JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.type = 'track' AND t.subject = 'customer' AND t.profile_id IS NOT NULL
            AND has({goals:Map(String, Array(String))}['lead'], t.event)
    ),
    spent AS
    (
        SELECT
            occurred_at AS at, upper(trim(toString(properties.currency))) AS currency,
            -- Rounded to six places, half to even.
            toDecimal128(roundBankers(toDecimal256OrZero(trimBoth(toString(properties.amount), ' \t\r\n'), 30), 6), 6) AS amount,
            arrayFilter(d -> d.1 = '' OR d.2 != '', [('', ''), ('campaign', campaign)]) AS dimensions
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND type = 'track' AND event = 'Spend Reported' AND subject = 'source' AND NOT bot
    ),
    -- What was spent, and what for: one of the two in each row.
    facts AS
    (
        SELECT at, currency, dimensions, amount, toNullable(toUUID('00000000-0000-0000-0000-000000000000')) AS profile_id, false AS came FROM spent
        UNION ALL
        SELECT at, {currency:String}, dimensions, toDecimal128(0, 6), profile_id, true FROM leads WHERE qualified
    )
SELECT
    currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(sum(amount), 6) AS numerator, toInt64(uniqExactIf(profile_id, came)) AS denominator
FROM
(
    SELECT
        currency, amount, profile_id, came, arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM facts
)
GROUP BY currency, dimension, dimension_value, window, mark
