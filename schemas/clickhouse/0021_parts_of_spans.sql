-- The spans of a device on which ever other people log in come in parts: a row of all of them would be written anew at
-- each login.

ALTER TABLE {database}.identity_states
    ADD COLUMN IF NOT EXISTS part Int32 COMMENT 'part of the spans; profile_id and hub are those of part 0' AFTER gone,
    MODIFY ORDER BY (workspace, identifier_type, identifier_value, part);

CREATE OR REPLACE VIEW {database}.profile_aliases
(
    workspace LowCardinality(String) COMMENT 'the tenant',
    own_profile_id UUID COMMENT 'an id that the profile had or could have had: that of one of its identifiers',
    profile_id UUID COMMENT 'the profile that it means now'
)
AS
SELECT
    workspace, own_profile_id, profile_id
FROM {database}.identity_states FINAL
WHERE part = 0
COMMENT 'which profile an id means now';
