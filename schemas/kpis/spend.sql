-- Money spent on advertising, as sources report it (Spend Reported with amount and currency).
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    spent AS
    (
        SELECT
            occurred_at AS at, upper(trim(toString(properties.currency))) AS currency,
            -- Rounded to six places, half to even.
            toDecimal128(roundBankers(toDecimal256OrZero(trimBoth(toString(properties.amount), ' \t\r\n'), 30), 6), 6) AS amount,
            arrayFilter(d -> d.1 = '' OR d.2 != '', [('', ''), ('channel', channel), ('store', store), ('device_type', device_type), ('source', traffic_source), ('campaign', campaign)]) AS dimensions
        FROM touchpoints_current
        WHERE workspace = {workspace:String} AND type = 'track' AND event = 'Spend Reported' AND subject = 'source' AND NOT bot
    )
SELECT
    currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(sum(amount), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        currency, amount, arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM spent
)
GROUP BY currency, dimension, dimension_value, window, mark
