-- Who a session is that no login tells anything of: one more rule.

ALTER TABLE {database}.rules_entries
    ADD COLUMN IF NOT EXISTS strangers LowCardinality(String) DEFAULT 'device'
        COMMENT 'who a session is that no login tells anything of: the device, or somebody of its own (session)'
        AFTER types;

CREATE OR REPLACE VIEW {database}.identity_rules
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    version Int64 COMMENT 'number of the rules, from 1',
    in_force Bool COMMENT 'whether they are the newest, which every processor obeys',
    published_at DateTime64(3, 'UTC') COMMENT 'when a processor that was configured so published them',
    device_bridges Bool COMMENT 'whether a device may join two persons',
    shared_devices LowCardinality(String) COMMENT 'whose a session without a login is on a shared device: last or certain',
    strangers LowCardinality(String) COMMENT 'who a session is that no login tells anything of: the device, or somebody of its own (session)',
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
    published_at, device_bridges, shared_devices, strangers, consent_required, hub, limits, blocked_values, blocked_patterns,
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
