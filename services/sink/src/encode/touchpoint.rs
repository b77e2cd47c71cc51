//! Touchpoints, with a row for each product and each answer on them.

use tributary_contracts::framing;
use tributary_contracts::wire::{
    Activity, Identifier, Order, OrderKind, ResolvedTouchpoint, Subject, Touchpoint,
    identifier_flags,
};

use super::Position;
use crate::json;
use crate::row::Row;
use crate::rows::Rows;

pub(super) fn resolved(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let resolved = ResolvedTouchpoint::unframe(message)?;
    let [touchpoints, lines, answers] = rows else {
        unreachable!("a topic's rows are made from its tables")
    };
    let touchpoint = &resolved.touchpoint;
    touchpoints.in_month_of(touchpoint.occurred_at);
    touchpoints.add(position.offset, |row| append(row, &resolved, position));
    if let Some(order) = touchpoint
        .order
        .as_ref()
        .filter(|order| !order.lines.is_empty())
    {
        append_lines(lines, touchpoint, order, position);
    }
    append_answers(answers, &resolved, position);
    Ok(())
}

fn append(row: &mut Row<'_>, resolved: &ResolvedTouchpoint<'_>, position: Position<'_>) {
    let touchpoint = &resolved.touchpoint;
    row.text(touchpoint.workspace)
        .text(touchpoint.message_id)
        .text(touchpoint.r#type)
        .text(touchpoint.event)
        .text(touchpoint.channel)
        .text(touchpoint.source)
        .text(subject(touchpoint.subject))
        .text(activity(touchpoint.activity))
        .flag(touchpoint.bot)
        .flag(touchpoint.historic)
        .time(touchpoint.occurred_at)
        .optional_time(touchpoint.sent_at)
        .time(touchpoint.received_at)
        .optional_time(touchpoint.original_timestamp)
        .long(touchpoint.clock_correction_ms)
        .joined(touchpoint.timeline_type, touchpoint.timeline_value);
    append_identifiers(row, &touchpoint.identifiers);
    row.optional_uuid(resolved.session_id.map(|id| id.0))
        .optional_uuid(resolved.profile_id.map(|id| id.0))
        .long(resolved.links_offset);
    append_order(row, touchpoint);
    let campaign = &touchpoint.campaign;
    row.text(touchpoint.device_type)
        .text(touchpoint.store)
        .text(touchpoint.traffic_source)
        .text(campaign.name)
        .text(campaign.source)
        .text(campaign.medium)
        .text(campaign.term)
        .text(campaign.content)
        .text(touchpoint.url)
        .text(touchpoint.referrer)
        .text(touchpoint.group_id)
        .array(touchpoint.consents.iter(), |row, consent| {
            row.text(consent.purpose).flag(consent.granted);
        })
        .json(touchpoint.traits)
        .array(json::nulls(touchpoint.traits).iter(), |row, name| {
            row.text(name);
        })
        .json(touchpoint.properties)
        .json(touchpoint.context);
    position.append_with_epoch(row);
}

/// The arrays of those that were kept and of those with a problem, then the first of each type that has a column.
fn append_identifiers(row: &mut Row<'_>, identifiers: &[Identifier<'_>]) {
    let kept = || {
        identifiers
            .iter()
            .filter(|identifier| !identifier.value.is_empty())
    };
    row.length(kept().count());
    for identifier in kept() {
        row.text(identifier.r#type).text(identifier.value);
    }
    let problems = identifiers.iter().flat_map(|identifier| {
        let of_it = |(flag, _): &&(i32, &str)| identifier.flags & flag != 0;
        let problems = identifier_flags::ALL.iter().filter(of_it);
        problems.map(move |(_, problem)| (identifier, *problem))
    });
    row.length(problems.clone().count());
    for (identifier, problem) in problems {
        // What was sent as it is kept is written once.
        let sent = match identifier.raw {
            "" => identifier.value,
            raw => raw,
        };
        row.text(identifier.r#type).text(sent).text(problem);
    }
    for column in ["anonymous_id", "user_id", "email", "phone", "device_id"] {
        row.text(
            kept()
                .find(|identifier| identifier.r#type == column)
                .map_or("", |identifier| identifier.value),
        );
    }
}

/// `order_kind, order_namespace, order_id, revenue, margin, currency`.
fn append_order(row: &mut Row<'_>, touchpoint: &Touchpoint<'_>) {
    match &touchpoint.order {
        Some(order) => row
            .text(order_kind(order.kind))
            .text(touchpoint.order_namespace)
            .text(order.order_id)
            .optional_amount(order.total)
            .optional_amount(order.margin)
            .text(order.currency),
        None => row
            .text("")
            .text(touchpoint.order_namespace)
            .text("")
            .optional_amount(None)
            .optional_amount(None)
            .text(""),
    };
}

fn append_lines(
    lines: &mut Rows,
    touchpoint: &Touchpoint<'_>,
    order: &Order<'_>,
    position: Position<'_>,
) {
    lines.in_month_of(touchpoint.occurred_at);
    for (number, line) in (1..).zip(&order.lines) {
        lines.add(position.offset, |row| {
            row.text(touchpoint.workspace)
                .text(touchpoint.message_id)
                .joined(touchpoint.timeline_type, touchpoint.timeline_value)
                .time(touchpoint.occurred_at)
                .text(touchpoint.order_namespace)
                .text(order.order_id)
                .text(order_kind(order.kind))
                .unsigned(number)
                .text(line.product_id)
                .text(line.sku)
                .text(line.name)
                .text(line.category)
                .text(line.brand)
                .text(line.variant)
                .text(line.coupon)
                .amount(line.quantity)
                .optional_amount(line.price)
                .text(order.currency)
                .text(touchpoint.channel)
                .text(touchpoint.source)
                .text(touchpoint.store);
            position.append_with_epoch(row);
        });
    }
}

fn append_answers(answers: &mut Rows, resolved: &ResolvedTouchpoint<'_>, position: Position<'_>) {
    let touchpoint = &resolved.touchpoint;
    for (number, answer) in (1..).zip(&touchpoint.answers) {
        answers.in_month_of(touchpoint.occurred_at);
        answers.add(position.offset, |row| {
            row.text(touchpoint.workspace)
                .text(touchpoint.message_id)
                .joined(touchpoint.timeline_type, touchpoint.timeline_value)
                .time(touchpoint.occurred_at)
                .text(touchpoint.channel)
                .text(touchpoint.source)
                .text(touchpoint.store)
                .text(subject(touchpoint.subject))
                .flag(touchpoint.bot)
                .unsigned(number)
                .text(answer.question_id)
                .text(answer.wording)
                .text(answer.kind)
                .text(answer.aspect)
                .text(answer.scale)
                .optional_amount(answer.value)
                .text(answer.comment)
                .text(answer.product)
                .text(answer.touchpoint)
                .optional_uuid(resolved.session_id.map(|id| id.0))
                .optional_uuid(resolved.profile_id.map(|id| id.0));
            position.append_with_epoch(row);
        });
    }
}

const fn subject(subject: Subject) -> &'static str {
    match subject {
        Subject::Customer => "customer",
        Subject::Source => "source",
    }
}

const fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Active => "active",
        Activity::Passive => "passive",
    }
}

const fn order_kind(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Placed => "placed",
        OrderKind::Refunded => "refunded",
        OrderKind::Cancelled => "cancelled",
    }
}
