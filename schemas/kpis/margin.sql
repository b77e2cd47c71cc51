-- Margins of the orders placed in the window that state one. By product: the margin is shared out among the products of the
-- order in proportion to what their lines come to; products that come to less than nothing, as discounts do, have no part.
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
        SELECT message_id, timeline, arraySort(groupArray((product_id, amount))) AS products
        FROM
        (
            SELECT
                message_id, timeline, product_id,
                sum(intDiv(toInt256(quantity * 1000000) * toInt256(ifNull(price, 0) * 1000000), 1000000)) AS amount
            FROM order_lines
            WHERE workspace = {workspace:String} AND product_id != ''
            GROUP BY message_id, timeline, product_id
        )
        GROUP BY message_id, timeline
    ),
    orders AS
    (
        SELECT
            t.order_namespace AS order_namespace, t.order_id AS order_id, t.profile_id AS profile_id, t.occurred_at AS at,
            t.currency AS currency, t.margin AS margin, l.products AS products,
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
    -- Shares are cut off at millionths of the sum up to each, by product id, so that together they are the whole margin.
    shared AS
    (
        SELECT
            currency, at, dimensions, toDecimal128(assumeNotNull(margin), 6) AS whole, toInt256(whole * 1000000) AS millionths,
            arrayMap(p -> greatest(p.2, 0), products) AS parts, arraySum(parts) AS of_all,
            arrayMap(n -> intDiv(millionths * arraySum(arraySlice(parts, 1, n)), greatest(of_all, 1)), range(length(parts) + 1)) AS until,
            arrayMap((p, n) -> ('product', p.1, toDecimal128(until[n + 1] - until[n], 6) / 1000000), products, arrayEnumerate(products)) AS shares
        FROM orders
        WHERE margin IS NOT NULL
    )
SELECT
    currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(sum(d.3), 6) AS numerator, toInt64(1) AS denominator
FROM
(
    SELECT
        currency,
        arrayJoin(arrayConcat(arrayMap(d -> (d.1, d.2, whole), dimensions), if(of_all = 0, [], shares))) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(at) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM shared
)
WHERE currency != ''
GROUP BY currency, dimension, dimension_value, window, mark
