//! Customers, sessions and orders as known now.

use tributary_contracts::framing;
use tributary_contracts::wire::{OrderState, Profile, Session, Since};

use super::Position;
use crate::row::Row;
use crate::rows::Rows;

pub(super) fn profile(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let profile: Profile<'_> = framing::decode(message)?;
    let emails = profile.emails.unwrap_or_default();
    rows[0].add(position.offset, |row| {
        row.text(profile.workspace)
            .uuid(profile.profile_id.0)
            .array(profile.identifiers.iter(), |row, identifier| {
                row.text(identifier.r#type).text(identifier.value);
            })
            .json(profile.traits)
            .optional_time(profile.first_seen)
            .optional_time(profile.last_seen)
            .long(profile.sessions)
            .long(profile.touchpoints)
            .long(profile.orders)
            .array(profile.revenue.iter(), |row, (currency, amount)| {
                row.text(currency).amount(*amount);
            })
            .array(profile.channels.iter(), |row, channel| {
                row.text(channel);
            })
            .array(profile.spending.iter(), |row, spending| {
                row.text(spending.currency)
                    .long(spending.orders)
                    .amount(spending.total)
                    .amount(spending.margin);
            })
            .optional_time(profile.first_order)
            .optional_time(profile.last_order)
            .amount(profile.loyalty_points)
            .array(profile.last_answers.iter(), |row, answer| {
                row.text(answer.aspect)
                    .text(answer.scale)
                    .integer(answer.value)
                    .time(answer.occurred_at)
                    .text(answer.comment);
            })
            .long(emails.sent)
            .long(emails.delivered)
            .long(emails.opened)
            .long(emails.clicked)
            .long(emails.unsubscribed)
            .long(profile.mentions)
            .array(profile.provenance.iter(), |row, provenance| {
                row.text(provenance.name)
                    .text(provenance.rule)
                    .text(provenance.source)
                    .time(provenance.occurred_at)
                    .text(provenance.message_id);
            })
            .array(profile.consents.iter(), |row, consent| {
                row.text(consent.purpose)
                    .flag(consent.granted)
                    .time(consent.occurred_at)
                    .text(consent.source);
            })
            .array(profile.groups.iter(), |row, group| {
                row.text(group);
            })
            .array(profile.statuses.iter(), since)
            .array(profile.quadrants.iter(), since)
            .long(profile.revision)
            .flag(profile.gone);
        position.append(row);
    });
    Ok(())
}

fn since(row: &mut Row<'_>, held: &Since<'_>) {
    row.text(held.what).time(held.since);
}

pub(super) fn session(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let session: Session<'_> = framing::decode(message)?;
    rows[0].add(position.offset, |row| {
        row.text(session.workspace)
            .uuid(session.session_id.0)
            .optional_uuid(session.profile_id.map(|id| id.0))
            .joined(session.timeline_type, session.timeline_value)
            .time(session.started_at)
            .time(session.ended_at)
            .long(session.touchpoints)
            .long(session.views)
            .text(session.channel)
            .text(session.traffic_source)
            .text(session.campaign)
            .text(session.store)
            .text(session.device_type)
            .text(session.source)
            .array(session.goals.iter(), |row, (goal, events)| {
                row.text(goal).long(*events);
            })
            .long(session.revision)
            .flag(session.gone);
        position.append(row);
    });
    Ok(())
}

pub(super) fn order(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let order: OrderState<'_> = framing::decode(message)?;
    rows[0].add(position.offset, |row| {
        row.text(order.workspace)
            .text(order.order_namespace)
            .text(order.order_id)
            .text(order.currency)
            .amount(order.total)
            .amount(order.refunded)
            .optional_amount(order.margin)
            .time(order.ordered_at)
            .text(order.message_id)
            .joined(order.timeline_type, order.timeline_value)
            .text(order.channel)
            .text(order.source)
            .text(order.traffic_source)
            .text(order.campaign)
            .text(order.store)
            .text(order.device_type)
            .optional_uuid(order.session_id.map(|id| id.0))
            .optional_uuid(order.profile_id.map(|id| id.0))
            .flag(order.cancelled)
            .long(order.claims)
            .long(order.revision)
            .flag(order.gone);
        position.append(row);
    });
    Ok(())
}
