-- The margins that all their orders state up to the mark, by customer: whoever has an order in that currency in the days
-- that make a customer. By dimension: of the orders of that value.
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
    orders AS
    (
        SELECT
            t.order_namespace AS order_namespace, t.order_id AS order_id, t.profile_id AS profile_id, t.occurred_at AS at,
            t.message_id AS message_id, t.timeline AS timeline,
            -- Marks are whole minutes: at the first after it, it counts.
            toInt64(ceil(toUnixTimestamp64Milli(at) / 60000)) AS minute,
            t.currency AS currency, ifNull(t.revenue, 0) AS total, t.margin AS margin,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                    ('source', if(t.session_id IS NULL, t.traffic_source, s.source)),
                    ('campaign', if(t.session_id IS NULL, t.campaign, s.campaign))]) AS dimensions
        FROM touchpoints_current AS t
        LEFT JOIN sessions AS s ON s.session_id = t.session_id
        WHERE t.workspace = {workspace:String} AND t.order_kind = 'placed' AND t.profile_id IS NOT NULL
        ORDER BY t.occurred_at, t.message_id, t.timeline
        LIMIT 1 BY order_namespace, order_id
    ),
    amounts AS
    (
        SELECT profile_id, currency, dimensions, minute, true AS placed, toDecimal128(ifNull(margin, 0), 6) AS amount FROM orders
    ),
    -- By currency and value: the minutes of orders, which make spells of so many days as in customers.sql, and the amounts.
    histories AS
    (
        SELECT
            profile_id, currency, d.1 AS dimension, d.2 AS dimension_value,
            arraySort(groupArrayIf(minute, placed)) AS minutes, groupArray((minute, amount)) AS amounts,
            {customer_days:Int64} * 1440 AS length,
            arrayMap(spell -> (spell[1], spell[-1] + length),
                arraySplit((minute, gap) -> gap > length, minutes, arrayDifference(minutes))) AS spells
        FROM amounts
        ARRAY JOIN dimensions AS d
        WHERE currency != ''
        GROUP BY profile_id, currency, dimension, dimension_value
    ),
    -- A spell has all amounts up to its end.
    steps AS
    (
        SELECT
            currency, dimension, dimension_value, arrayJoin(spells) AS spell,
            arrayFilter(a -> a.1 < spell.2, amounts) AS due,
            arrayJoin(arrayConcat(
                [(spell.1, toDecimal128(0, 6), 1), (spell.2, toDecimal128(0, 6), -1)],
                arrayMap(a -> (greatest(a.1, spell.1), toDecimal128(a.2, 6), 0), due),
                arrayMap(a -> (spell.2, toDecimal128(-a.2, 6), 0), due))) AS step,
            step.1 AS minute, step.2 AS n, step.3 AS d
        FROM histories
    )
-- A value at a mark is the sum of all steps up to it, and stands until the next step; steps before the first mark that is
-- asked for stand at that one.
SELECT
    currency, dimension, dimension_value, window, arrayJoin(range(since, until)) AS mark,
    toDecimal128(n, 6) AS numerator, toInt64(d) AS denominator
FROM
(
    SELECT
        currency, dimension, dimension_value, window, mark AS since,
        sum(sum(n)) OVER (series ROWS UNBOUNDED PRECEDING) AS n, sum(sum(d)) OVER (series ROWS UNBOUNDED PRECEDING) AS d,
        leadInFrame(mark, 1, any(last) + 1) OVER (series ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS until
    FROM
    (
        SELECT currency, dimension, dimension_value, w.name AS window, w.last AS last, n, d,
            greatest(toInt64(ceil(minute * 60000 / w.step)), w.first) AS mark
        FROM steps
        ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
        WHERE mark <= w.last
    )
    GROUP BY currency, dimension, dimension_value, window, mark
    WINDOW series AS (PARTITION BY currency, dimension, dimension_value, window ORDER BY mark)
)
WHERE n != 0 OR d != 0
