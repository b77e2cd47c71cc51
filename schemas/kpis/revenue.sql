-- Totals of the orders placed in the window, less what was given back in it. A refund has its order's dimensions and its
-- own time: what it states, else what its lines come to; together the refunds of an order are never more than its total, and
-- a cancellation, like a refund without an amount and a line with a price, is one of what is left. Who sends it makes no
-- difference.
--
-- By product: what its lines come to, quantity times price. A refund gives back what its own lines come to, or where they
-- come to nothing each product's share of it, in proportion to the order's total; of each product no more than it came to, of
-- a discount no more than it took, and all that is left of it once all of the order is given back.
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
    -- What the lines of each product of an order event come to, in millionths. In 256 bits: ClickHouse 26.7 compiles `greatest`
    -- and `least` of 128 bits as if they had no sign.
    lines AS
    (
        SELECT
            message_id, timeline, arraySort(groupArrayIf((product_id, amount), product_id != '')) AS products,
            sum(amount) AS come_to, max(states_price) AS states_price
        FROM
        (
            SELECT
                message_id, timeline, product_id, max(price IS NOT NULL) AS states_price,
                sum(intDiv(toInt256(quantity * 1000000) * toInt256(ifNull(price, 0) * 1000000), 1000000)) AS amount
            FROM order_lines
            WHERE workspace = {workspace:String}
            GROUP BY message_id, timeline, product_id
        )
        GROUP BY message_id, timeline
    ),
    orders AS
    (
        SELECT
            t.order_namespace AS order_namespace, t.order_id AS order_id, t.profile_id AS profile_id, t.occurred_at AS at,
            t.currency AS currency, ifNull(t.revenue, 0) AS total, l.products AS products,
            arrayFilter(d -> d.1 = '' OR d.2 != '',
                [('', ''), ('channel', t.channel), ('store', t.store), ('device_type', t.device_type),
                    ('source', if(t.session_id IS NULL, t.traffic_source, s.source)),
                    ('campaign', if(t.session_id IS NULL, t.campaign, s.campaign))]) AS dimensions
        FROM touchpoints_current AS t
        LEFT JOIN sessions AS s ON s.session_id = t.session_id
        LEFT JOIN lines AS l ON l.message_id = t.message_id AND l.timeline = t.timeline
        WHERE t.workspace = {workspace:String} AND t.order_kind = 'placed' AND t.profile_id IS NOT NULL
        ORDER BY t.occurred_at, t.message_id, t.timeline
        LIMIT 1 BY order_namespace, order_id
    ),
    -- What was asked back up to each event, as if there were no end to what can be given.
    asked AS
    (
        SELECT
            o.order_namespace AS order_namespace, o.order_id AS order_id, o.currency AS currency, o.dimensions AS dimensions,
            o.products AS products, l.products AS named, t.message_id AS message_id, t.timeline AS timeline,
            t.occurred_at AS at, greatest(o.total, 0) AS most,
            multiIf(t.order_kind = 'cancelled', most, t.revenue IS NOT NULL, abs(assumeNotNull(t.revenue)),
                l.states_price != 0, toDecimal128(abs(l.come_to), 6) / 1000000, most) AS wanted,
            sum(wanted) OVER (PARTITION BY o.order_namespace, o.order_id
                ORDER BY t.occurred_at, t.message_id, t.timeline ROWS UNBOUNDED PRECEDING) AS until
        FROM touchpoints_current AS t
        INNER JOIN orders AS o ON o.order_namespace = t.order_namespace AND o.order_id = t.order_id
        LEFT JOIN lines AS l ON l.message_id = t.message_id AND l.timeline = t.timeline
        WHERE t.workspace = {workspace:String} AND t.order_kind IN ('refunded', 'cancelled') AND NOT t.bot
    ),
    -- The same of each product, up to each event.
    given AS
    (
        SELECT
            order_namespace, order_id, currency, at, message_id, timeline, p.1 AS product, p.2 AS came_to, most_of_all,
            until_of_all,
            if(arrayExists(n -> n.2 != 0, named), toInt256(abs(arrayFirst(n -> n.1 = product, named).2)),
                if(most_of_all = 0, 0, intDiv(toInt256(abs(came_to)) * back, most_of_all))) AS wanted,
            sum(wanted) OVER (PARTITION BY order_namespace, order_id, product
                ORDER BY at, message_id, timeline ROWS UNBOUNDED PRECEDING) AS until,
            if(until_of_all >= most_of_all, came_to, sign(came_to) * least(toInt256(abs(came_to)), until)) AS given
        FROM
        (
            SELECT
                *, arrayJoin(products) AS p, toInt256(most * 1000000) AS most_of_all, toInt256(until * 1000000) AS until_of_all,
                toInt256((least(most, until) - least(most, until - wanted)) * 1000000) AS back
            FROM asked
        )
    ),
    amounts AS
    (
        SELECT currency, dimensions, at, toDecimal128(total, 6) AS amount FROM orders
        UNION ALL
        SELECT currency, dimensions, at, toDecimal128(least(most, until - wanted) - least(most, until), 6) AS amount FROM asked
        UNION ALL
        SELECT currency, [('product', p.1)], at, toDecimal128(p.2, 6) / 1000000 FROM orders ARRAY JOIN products AS p
        UNION ALL
        SELECT
            currency, [('product', product)], at,
            toDecimal128(lagInFrame(given, 1, toInt256(0)) OVER (PARTITION BY order_namespace, order_id, product
                ORDER BY at, message_id, timeline ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - given, 6) / 1000000
        FROM given
    )
SELECT
    currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(sum(amount), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        currency,
        amount,
        arrayJoin(dimensions) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM amounts
)
WHERE currency != ''
GROUP BY currency, dimension, dimension_value, window, mark
