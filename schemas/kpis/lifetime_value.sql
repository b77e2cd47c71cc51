-- What all their orders brought up to the mark, less refunds, by customer: whoever has an order in that currency in the
-- days that make a customer. By dimension: of the orders of that value.

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
    -- What was asked back up to each event, as if there were no end to what can be given.
    asked AS
    (
        SELECT
            o.profile_id AS profile_id, o.currency AS currency, o.dimensions AS dimensions, t.occurred_at AS at,
            greatest(o.total, 0) AS most,
            if(t.order_kind = 'cancelled' OR t.revenue IS NULL, most, abs(assumeNotNull(t.revenue))) AS wanted,
            sum(wanted) OVER (PARTITION BY o.order_namespace, o.order_id
                ORDER BY t.occurred_at, t.message_id, t.timeline ROWS UNBOUNDED PRECEDING) AS until
        FROM touchpoints_current AS t
        INNER JOIN orders AS o ON o.order_namespace = t.order_namespace AND o.order_id = t.order_id
        WHERE t.workspace = {workspace:String} AND t.order_kind IN ('refunded', 'cancelled') AND t.profile_id IS NOT NULL
    ),
    amounts AS
    (
        SELECT profile_id, currency, d.1 AS dimension, d.2 AS dimension_value, toInt64(ceil(toUnixTimestamp64Milli(at) / 60000)) AS minute, amount
        FROM
        (
            SELECT profile_id, currency, dimensions, at, toDecimal128(total, 6) AS amount FROM orders
            UNION ALL
            SELECT profile_id, currency, dimensions, at, toDecimal128(least(most, until - wanted) - least(most, until), 6) FROM asked
        )
        ARRAY JOIN dimensions AS d
    ),
    -- From an order until so many days after it one is a customer; orders within that time make one spell.
    spells AS
    (
        SELECT profile_id, currency, dimension, dimension_value, min(minute) AS since, max(minute) + {customer_days:Int64} * 1440 AS until
        FROM
        (
            SELECT *, sum(begins) OVER (PARTITION BY profile_id, currency, dimension, dimension_value ORDER BY minute ROWS UNBOUNDED PRECEDING) AS number
            FROM
            (
                SELECT *, minute > lagInFrame(minute, 1, -1000000000) OVER
                    (PARTITION BY profile_id, currency, dimension, dimension_value ORDER BY minute ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
                    + {customer_days:Int64} * 1440 AS begins
                FROM (SELECT profile_id, currency, minute, d.1 AS dimension, d.2 AS dimension_value FROM orders ARRAY JOIN dimensions AS d WHERE currency != '')
            )
        )
        GROUP BY profile_id, currency, dimension, dimension_value, number
    ),
    steps AS
    (
        SELECT s.currency AS currency, s.dimension AS dimension, s.dimension_value AS dimension_value,
            greatest(a.minute, s.since) AS minute, toDecimal128(a.amount, 6) AS n, 0 AS d
        FROM spells AS s
        INNER JOIN amounts AS a ON a.profile_id = s.profile_id AND a.currency = s.currency AND a.dimension = s.dimension AND a.dimension_value = s.dimension_value
        WHERE a.minute < s.until
        UNION ALL
        SELECT s.currency, s.dimension, s.dimension_value, s.until, -toDecimal128(a.amount, 6), 0
        FROM spells AS s
        INNER JOIN amounts AS a ON a.profile_id = s.profile_id AND a.currency = s.currency AND a.dimension = s.dimension AND a.dimension_value = s.dimension_value
        WHERE a.minute < s.until
        UNION ALL
        SELECT currency, dimension, dimension_value, since, toDecimal128(0, 6), 1 FROM spells
        UNION ALL
        SELECT currency, dimension, dimension_value, until, toDecimal128(0, 6), -1 FROM spells
    )
-- A value at a mark is the sum of all steps up to it; those before the first mark that is asked for stand at that one.
SELECT
    currency, dimension, dimension_value, window, mark,
    toDecimal128(sum(sum(n)) OVER marks, 6) AS numerator, toInt64(sum(sum(d)) OVER marks) AS denominator
FROM
(
    SELECT currency, dimension, dimension_value, w.name AS window, n, d,
        greatest(toInt64(ceil(minute * 60000 / w.step)), w.first) AS mark
    FROM steps
    ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
    WHERE mark <= w.last
    UNION ALL
    SELECT currency, dimension, dimension_value, w.name AS window, 0 AS n, 0 AS d, arrayJoin(range(w.first, w.last + 1)) AS mark
    FROM (SELECT DISTINCT currency, dimension, dimension_value FROM steps)
    ARRAY JOIN {windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))} AS w
)
GROUP BY currency, dimension, dimension_value, window, mark
WINDOW marks AS (PARTITION BY currency, dimension, dimension_value, window ORDER BY mark ROWS UNBOUNDED PRECEDING)
