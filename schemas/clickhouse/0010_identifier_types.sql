-- Types of identifiers beside the built-in ones, and other kinds and priorities of these: rules, too.

ALTER TABLE {database}.rules_entries
    ADD COLUMN IF NOT EXISTS types Array(Tuple(name LowCardinality(String), kind LowCardinality(String), normalisation LowCardinality(String), limit Int32, can_be_hub Bool))
        COMMENT 'the types of identifiers, that of the highest priority first: what each names (person or device), the form of its values, how many of it one profile may hold, and whether one that is linked to too many persons joins nobody'
        AFTER sources_without_links;

CREATE OR REPLACE VIEW {database}.identity_rules
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    version Int64 COMMENT 'number of the rules, from 1',
    in_force Bool COMMENT 'whether they are the newest, which every processor obeys',
    published_at DateTime64(3, 'UTC') COMMENT 'when a processor that was configured so published them',
    device_bridges Bool COMMENT 'whether a device may join two persons',
    shared_devices LowCardinality(String) COMMENT 'whose a session without a login is on a shared device: last or certain',
    consent_required Bool COMMENT 'whether both ends of a link must have agreed to stitching',
    hub Int32 COMMENT 'an identifier linked to more values of one person type than this joins nobody',
    limits Map(LowCardinality(String), Int32) COMMENT 'how many identifiers of a type one profile may hold',
    blocked_values Array(String) COMMENT 'values that identify nobody, in lower case, of any type',
    blocked_patterns Array(String) COMMENT 'the same with * for any text, with or without a type before it',
    sources_without_links Array(String) COMMENT 'sources whose sight of two identifiers makes no link',
    types Array(Tuple(name LowCardinality(String), kind LowCardinality(String), normalisation LowCardinality(String), limit Int32, can_be_hub Bool))
        COMMENT 'the types of identifiers, that of the highest priority first: what each names (person or device), the form of its values, how many of it one profile may hold, and whether one that is linked to too many persons joins nobody'
)
AS
SELECT
    workspace,
    version,
    CAST(version = max(version) OVER (PARTITION BY workspace), 'Bool') AS in_force,
    published_at, device_bridges, shared_devices, consent_required, hub, limits, blocked_values, blocked_patterns,
    sources_without_links, types
FROM
(
    -- Of two with one number the first counts.
    SELECT *
    FROM {database}.rules_entries
    ORDER BY workspace, version, kafka_offset
    LIMIT 1 BY workspace, version
)
COMMENT 'versions of the rules of identity, by workspace';

CREATE OR REPLACE VIEW {database}.links
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    higher_type LowCardinality(String) COMMENT 'type of the identifier of higher priority',
    higher_value String COMMENT 'its normalised value',
    lower_type LowCardinality(String) COMMENT 'type of the other identifier',
    lower_value String COMMENT 'its normalised value',
    first_seen DateTime64(3, 'UTC') COMMENT 'event time of the first event with both',
    first_message_id String COMMENT 'message id of that event',
    last_day Date32 COMMENT 'last UTC day both were seen on one event',
    sources Array(String) COMMENT 'sources that saw it and may link'
)
AS
SELECT
    workspace, higher_type, higher_value, lower_type, lower_value,
    min(seen) AS first_seen,
    argMin(message_id, (seen, message_id)) AS first_message_id,
    max(day) AS last_day,
    arraySort(groupUniqArray(source)) AS sources
FROM
(
    SELECT
        workspace, higher_type, higher_value, lower_type, lower_value, source,
        first_seen AS seen, first_message_id AS message_id, last_day AS day
    FROM {database}.link_observations FINAL
    WHERE (workspace, source) NOT IN
    (
        SELECT workspace, arrayJoin(sources_without_links) FROM {database}.identity_rules WHERE in_force
    )
    -- Two of one person type on one event are noted, because a type may become a device's, and are no link.
    AND NOT
    (
        higher_type = lower_type AND (workspace, higher_type) IN
        (
            SELECT workspace, arrayJoin(arrayFilter(type -> type.kind = 'person', types)).name
            FROM {database}.identity_rules
            WHERE in_force
        )
    )
)
GROUP BY workspace, higher_type, higher_value, lower_type, lower_value
COMMENT 'pairs of identifiers that were seen on one event, by sources that may link under the rules in force';

CREATE OR REPLACE VIEW {database}.identities
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    identifier_type LowCardinality(String) COMMENT 'user_id, crm_id, loyalty_card, email, phone, social_handle, device_id, anonymous_id, advertising_id, push_token, or a type that the rules add',
    identifier_value String COMMENT 'normalised value',
    profile_id UUID COMMENT 'whose it is in this span of event time',
    valid_from DateTime64(3, 'UTC') COMMENT 'first moment of the span',
    valid_to DateTime64(3, 'UTC') COMMENT 'first moment after the span'
)
AS
SELECT
    workspace, identifier_type, identifier_value, owner AS profile_id, valid_from, valid_to
FROM {database}.identity_states FINAL
ARRAY JOIN span_profile AS owner, span_from AS valid_from, span_to AS valid_to
COMMENT 'whose each identifier is, in spans of event time that touch, from 1970 to 2299';
