-- E-mails upon which the recipient wanted no more, of those delivered; at the time when they were sent.
-- The parameters that all files have, workspace and windows, are explained in visitors.sql.

WITH
    -- What happened to which e-mail: named by its id, or where it has none by its campaign, which a recipient is sent once.
    events AS
    (
        SELECT
            t.occurred_at AS at, t.message_id AS message_id, t.timeline AS timeline,
            multiIf(t.event = 'Email Sent', 'sent', t.event = 'Email Delivered', 'delivered', t.event = 'Email Bounced', 'bounced',
                t.event = 'Email Opened', 'opened', t.event IN ('Email Link Clicked', 'Email Clicked'), 'clicked', 'unsubscribed') AS kind,
            ifNull(coalesce(t.properties.email_id.:String, toString(t.properties.email_id.:Int64)), '') AS id,
            ifNull(coalesce(t.properties.campaign_name.:String, toString(t.properties.campaign_name.:Int64)), '') AS campaign_name,
            ifNull(coalesce(t.properties.campaign_id.:String, toString(t.properties.campaign_id.:Int64)), '') AS campaign_id,
            multiIf(t.campaign != '', toString(t.campaign), campaign_name != '', campaign_name, campaign_id) AS campaign,
            if(id != '', ('id', id), ('campaign', campaign)) AS email,
            multiIf(t.email != '', concat('email:', t.email), t.user_id != '', concat('user_id:', t.user_id), t.timeline) AS recipient,
            -- Apple Mail fetches the images of every mail under this name, read or not.
            ifNull(t.properties.prefetched.:Bool, false) OR ifNull(t.context.userAgent.:String, '') = 'Mozilla/5.0' AS prefetched
        FROM touchpoints_current AS t
        WHERE t.workspace = {workspace:String} AND t.type = 'track' AND t.profile_id IS NOT NULL
            AND t.event IN ('Email Sent', 'Email Delivered', 'Email Bounced', 'Email Opened', 'Email Link Clicked', 'Email Clicked',
                'Email Unsubscribed', 'Unsubscribed')
    ),
    -- Each counts when it was sent; where nobody says so, when it was first delivered or came back.
    emails AS
    (
        SELECT
            if(countIf(kind = 'sent') > 0,
                argMinIf((at, campaign), (at, message_id, timeline), kind = 'sent'),
                argMinIf((at, campaign), (at, message_id, timeline), kind IN ('delivered', 'bounced'))) AS sent,
            countIf(kind = 'bounced') = 0 AS delivered,
            delivered AND countIf(kind = 'clicked') > 0 AS clicked,
            clicked OR delivered AND countIf(kind = 'opened' AND ({prefetched_opens:Bool} OR NOT prefetched)) > 0 AS opened,
            delivered AND countIf(kind = 'unsubscribed') > 0 AS unsubscribed
        FROM events
        WHERE email.2 != ''
        GROUP BY email, recipient
        HAVING countIf(kind IN ('sent', 'delivered', 'bounced')) > 0
    )
SELECT
    '' AS currency, d.1 AS dimension, d.2 AS dimension_value, window, mark,
    toDecimal128(countIf(unsubscribed), 6) AS numerator, toInt64(countIf(delivered)) AS denominator
FROM
(
    SELECT
        delivered, opened, clicked, unsubscribed,
        arrayJoin(arrayFilter(d -> d.1 = '' OR d.2 != '', [('', ''), ('campaign', sent.2)])) AS d,
        arrayJoin({windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}) AS w,
        w.name AS window,
        toInt64(ceil(toUnixTimestamp64Milli(sent.1) / w.step)) AS first_mark,
        arrayJoin(range(greatest(first_mark, w.first), least(first_mark + intDiv(w.length, w.step), w.last + 1))) AS mark
    FROM emails
)
GROUP BY dimension, dimension_value, window, mark
