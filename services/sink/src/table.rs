//! The tables that the sink writes, and the columns of their rows in the order in which they are encoded.

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static str,
    pub(crate) keeps: Keeps,
}

/// What becomes of a row that is stored twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// It would count twice: such a table knows which offsets it holds.
    EveryRow,
    /// The table's engine keeps one row a key, so it does not matter.
    OneRowAKey,
}

pub(crate) static TOUCHPOINTS: Table = Table {
    name: "touchpoints",
    keeps: Keeps::EveryRow,
    columns: "workspace, message_id, type, event, channel, source, subject, activity, bot, historic, occurred_at, sent_at, \
              received_at, original_timestamp, clock_correction_ms, timeline, identifiers, identifier_problems, anonymous_id, user_id, email, phone, \
              device_id, session_id, profile_id, links_offset, order_kind, order_namespace, order_id, revenue, margin, currency, \
              device_type, store, traffic_source, campaign, campaign_source, campaign_medium, campaign_term, campaign_content, \
              url, referrer, group_id, consents, traits, null_traits, properties, context, kafka_partition, kafka_offset, kafka_epoch",
};

pub(crate) static ORDER_LINES: Table = Table {
    name: "order_lines",
    keeps: Keeps::EveryRow,
    columns: "workspace, message_id, timeline, occurred_at, order_namespace, order_id, order_kind, line, product_id, sku, name, \
              category, brand, variant, coupon, quantity, price, currency, channel, source, store, kafka_partition, \
              kafka_offset, kafka_epoch",
};

pub(crate) static ANSWERS: Table = Table {
    name: "answers",
    keeps: Keeps::EveryRow,
    columns: "workspace, message_id, timeline, occurred_at, channel, source, store, subject, bot, answer, question_id, wording, kind, \
              aspect, scale, value, comment, product, touchpoint, session_id, profile_id, kafka_partition, kafka_offset, kafka_epoch",
};

pub(crate) static OVERRIDES: Table = Table {
    name: "overrides",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, timeline, page, revision, range_from, range_to, range_session, range_profile, message_id, \
              message_session, message_profile, kafka_partition, kafka_offset",
};

pub(crate) static IDENTITIES: Table = Table {
    name: "identity_states",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, identifier_type, identifier_value, own_profile_id, profile_id, hub, span_profile, span_from, span_to, \
              revision, gone, part, kafka_partition, kafka_offset",
};

pub(crate) static REFUSALS: Table = Table {
    name: "refusal_states",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, higher_type, higher_value, lower_type, lower_value, reason, revision, gone, kafka_partition, kafka_offset",
};

pub(crate) static LINKS: Table = Table {
    name: "link_observations",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, higher_type, higher_value, lower_type, lower_value, source, partition, may_link, first_seen, \
              first_message_id, last_day, kafka_partition, kafka_offset",
};

pub(crate) static OPERATIONS: Table = Table {
    name: "operation_entries",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, operation_id, kind, first_type, first_value, second_type, second_value, undoes, entered_at, entered_by, \
              reason, kafka_partition, kafka_offset",
};

pub(crate) static CONSENTS: Table = Table {
    name: "consent_observations",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, identifier_type, identifier_value, partition, decided_at, granted, kafka_partition, kafka_offset",
};

pub(crate) static RULES: Table = Table {
    name: "rules_entries",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, version, published_at, device_bridges, shared_devices, consent_required, hub, limits, blocked_values, \
              blocked_patterns, sources_without_links, types, strangers, kafka_partition, kafka_offset",
};

pub(crate) static PROFILES: Table = Table {
    name: "profiles",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, profile_id, identifiers, traits, first_seen, last_seen, sessions, touchpoints, orders, revenue, \
              channels, spending, first_order, last_order, loyalty_points, last_answers, emails_sent, emails_delivered, \
              emails_opened, emails_clicked, emails_unsubscribed, mentions, trait_provenance, consents, groups, statuses, \
              quadrants, revision, gone, kafka_partition, \
              kafka_offset",
};

pub(crate) static SESSIONS: Table = Table {
    name: "sessions",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, session_id, profile_id, timeline, started_at, ended_at, touchpoints, views, channel, traffic_source, \
              campaign, store, device_type, source, goals, revision, gone, kafka_partition, kafka_offset",
};

pub(crate) static ORDERS: Table = Table {
    name: "orders",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, order_namespace, order_id, currency, total, refunded, margin, ordered_at, message_id, timeline, channel, \
              source, traffic_source, campaign, store, device_type, session_id, profile_id, cancelled, claims, revision, gone, \
              kafka_partition, kafka_offset",
};

pub(crate) static KPIS: Table = Table {
    name: "kpis",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, kpi, window, currency, dimension, dimension_value, block_start, step_ms, marks, numerators, \
              denominators, revision, kafka_partition, kafka_offset",
};

pub(crate) static ALERTS: Table = Table {
    name: "alert_states",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, alert, raised_at, cleared_at, value, usual, most, revision, kafka_partition, kafka_offset",
};

pub(crate) static DEAD_LETTERS: Table = Table {
    name: "dead_letter_states",
    keeps: Keeps::OneRowAKey,
    columns: "workspace, source, stage, reason, detail, message_id, received_at, payload, topic, partition, offset, letter, \
              kafka_partition, kafka_offset",
};
