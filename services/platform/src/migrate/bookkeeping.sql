-- What this module needs before it can run anything.

CREATE DATABASE IF NOT EXISTS {database};

CREATE TABLE IF NOT EXISTS {database}.migrations
(
    version UInt32 COMMENT 'number of the migration',
    name String COMMENT 'its file in schemas/clickhouse',
    checksum String COMMENT 'SHA-256 of the file when it was run',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was run'
)
ENGINE = {engine:MergeTree}
ORDER BY version
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'migrations of this database that were run';

CREATE TABLE IF NOT EXISTS {database}.migration_lock
(
    term UInt32 COMMENT 'number of the claim; the newest one holds the lock until it is released or its lease ends',
    holder String COMMENT 'who claimed it',
    event LowCardinality(String) COMMENT 'claimed, renewed or released',
    at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when, by the clock of the server'
)
ENGINE = {engine:MergeTree}
ORDER BY (term, at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'who may run migrations; a claim is an insert with the term as deduplication token, so of two only one is stored';
