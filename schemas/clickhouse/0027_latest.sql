-- Each KPI as of now, whose answers are a bot's, and what takes a group's trait away.

CREATE OR REPLACE VIEW {database}.kpis_latest
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    kpi LowCardinality(String) COMMENT 'slug of the KPI',
    window LowCardinality(String) COMMENT 'length of the rolling window that ends at the mark: 1h, 24h, 7d, 30d, 90d or 365d',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty where there is none',
    dimension LowCardinality(String) COMMENT 'dimension, or empty for the whole',
    dimension_value String COMMENT 'value of the dimension, or empty for the whole',
    window_end DateTime64(3, 'UTC') COMMENT 'the last mark of the window, of all KPIs the same',
    value Float64 COMMENT 'numerator by denominator',
    numerator Decimal(38, 6) COMMENT 'exact sum',
    denominator Int64 COMMENT 'exact count; 1 where the KPI is a sum'
)
AS
SELECT workspace, kpi, window, currency, dimension, dimension_value, window_end, value, numerator, denominator
FROM {database}.kpis_current
-- A mark is published in several steps, of which all are done five seconds later.
WHERE (workspace, window, window_end) IN
(
    SELECT
        workspace, window,
        max(arrayMax(arrayFilter(
            end -> end <= now64(3, 'UTC') - toIntervalSecond(5),
            arrayMap(mark -> addMilliseconds(block_start, mark * step_ms), marks)))) AS window_end
    FROM {database}.kpis FINAL
    WHERE dimension IN ('', 'status')
    GROUP BY workspace, window
)
COMMENT 'KPIs at the last mark of each window: what has no row is 0, or a rate of nothing';

ALTER TABLE {database}.answers
    ADD COLUMN IF NOT EXISTS bot Bool COMMENT 'on an event of a bot: counts in no KPI' AFTER subject;

ALTER TABLE {database}.answers
    UPDATE bot = true
    WHERE (workspace, timeline, message_id) IN (SELECT workspace, timeline, message_id FROM {database}.touchpoints WHERE bot)
    SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1;

CREATE OR REPLACE VIEW {database}.answers_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    message_id String COMMENT 'message id of the event that carried the answer',
    timeline String COMMENT 'the identifier that the event is filed under, as type:value',
    occurred_at DateTime64(3, 'UTC') COMMENT 'event time',
    channel LowCardinality(String) COMMENT 'channel of the event',
    source LowCardinality(String) COMMENT 'source of the event',
    store LowCardinality(String) COMMENT 'store of the event',
    subject LowCardinality(String) COMMENT 'customer, or source for an answer without a person',
    bot Bool COMMENT 'on an event of a bot: counts in no KPI',
    answer UInt32 COMMENT 'number of the answer on the event, from 1',
    question_id String COMMENT 'id of the question',
    wording String COMMENT 'the question as asked',
    kind LowCardinality(String) COMMENT 'touchpoint or relation',
    aspect LowCardinality(String) COMMENT 'nps, csat, ces or as the survey names it',
    scale LowCardinality(String) COMMENT '0-10, 1-10, 1-5 or yes-no',
    value Nullable(Decimal(38, 6)) COMMENT 'the note; none for a comment alone',
    comment String COMMENT 'free text',
    product String COMMENT 'product it is about',
    touchpoint LowCardinality(String) COMMENT 'touchpoint it is about, as the survey names it: delivery, checkout, call',
    session_id Nullable(UUID) COMMENT 'session as known now',
    profile_id Nullable(UUID) COMMENT 'customer as known now; none for a source, and for nobody, whose answers count in no KPI'
)
AS
SELECT
    a.workspace AS workspace, a.message_id AS message_id, a.timeline AS timeline, a.occurred_at AS occurred_at, a.channel AS channel,
    a.source AS source, a.store AS store, a.subject AS subject, a.bot AS bot, a.answer AS answer, a.question_id AS question_id,
    a.wording AS wording, a.kind AS kind, a.aspect AS aspect, a.scale AS scale, a.value AS value, a.comment AS comment,
    a.product AS product, a.touchpoint AS touchpoint, t.session_id AS session_id, t.profile_id AS profile_id
FROM {database}.answers AS a
LEFT JOIN
(
    SELECT workspace, timeline, message_id, session_id, profile_id
    FROM {database}.touchpoints_current
    WHERE (timeline, message_id) IN (SELECT timeline, message_id FROM {database}.answers)
) AS t ON t.workspace = a.workspace AND t.timeline = a.timeline AND t.message_id = a.message_id
COMMENT 'answers to questions, a row each, with session and customer as known now';

ALTER TABLE {database}.touchpoints
    ADD COLUMN IF NOT EXISTS null_traits Array(String) COMMENT 'names of the traits that were sent as null, which takes them away' CODEC(ZSTD) AFTER traits,
    COMMENT COLUMN traits 'traits as sent, but for those that are null (null_traits); a name with dots is a path',
    COMMENT COLUMN properties 'properties as sent, but for those that are null; a name with dots is a path';

ALTER TABLE {database}.touchpoints_current
    COMMENT COLUMN traits 'traits as sent, but for those that are null; a name with dots is a path',
    COMMENT COLUMN properties 'properties as sent, but for those that are null; a name with dots is a path';

ALTER TABLE {database}.touchpoints_as_received
    COMMENT COLUMN traits 'traits as sent, but for those that are null; a name with dots is a path',
    COMMENT COLUMN properties 'properties as sent, but for those that are null; a name with dots is a path';

CREATE OR REPLACE VIEW {database}.groups_current
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    group_id String COMMENT 'id of the group, as group calls name it',
    traits JSON(max_dynamic_paths = 32) COMMENT 'traits of the group, each as stated last; null takes one away',
    members UInt64 COMMENT 'customers that belong to it',
    profiles Array(UUID) COMMENT 'their ids',
    first_seen DateTime64(3, 'UTC') COMMENT 'first group call that names it',
    last_seen DateTime64(3, 'UTC') COMMENT 'last group call that names it'
)
AS
SELECT
    g.workspace AS workspace, g.group_id AS group_id, CAST(if(t.traits = '', toJSONString(map()), t.traits), 'JSON(max_dynamic_paths = 32)') AS traits,
    length(g.members) AS members, g.members AS profiles, g.first_seen AS first_seen, g.last_seen AS last_seen
FROM
(
    SELECT workspace, group_id, arraySort(groupUniqArrayIf(assumeNotNull(profile_id), profile_id IS NOT NULL)) AS members,
        min(occurred_at) AS first_seen, max(occurred_at) AS last_seen
    FROM {database}.touchpoints_current
    WHERE type = 'group' AND group_id != '' AND NOT bot
    GROUP BY workspace, group_id
) AS g
LEFT JOIN
(
    SELECT workspace, group_id,
        concat(char(123), arrayStringConcat(arraySort(groupArray(concat(toJSONString(name), ':', value))), ','), char(125)) AS traits
    FROM
    (
        SELECT workspace, group_id, stated.1 AS name, argMax(stated.2, (occurred_at, message_id, timeline)) AS value
        FROM
        (
            SELECT workspace, group_id, occurred_at, message_id, timeline,
                arrayJoin(arrayConcat(JSONExtractKeysAndValuesRaw(toJSONString(traits)), arrayMap(name -> (name, 'null'), null_traits))) AS stated
            FROM {database}.touchpoints
            WHERE type = 'group' AND group_id != '' AND NOT bot
        )
        GROUP BY workspace, group_id, name
        HAVING value != 'null'
    )
    GROUP BY workspace, group_id
) AS t ON t.workspace = g.workspace AND t.group_id = g.group_id
COMMENT 'groups of customers, such as companies, with what is known of them';
