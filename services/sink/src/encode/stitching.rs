//! Who is who: identities, refusals, links, and what was decided otherwise about touchpoints.

use tributary_contracts::framing::{self, Message as _};
use tributary_contracts::wire::{
    Identity, Link, Operation, Override, Refusal, Rules, StitchingConsent,
};

use super::Position;
use crate::rows::Rows;

pub(super) fn identity(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let identity: Identity<'_> = framing::decode(message)?;
    rows[0].add(position.offset, |row| {
        row.text(identity.workspace)
            .text(identity.identifier_type)
            .text(identity.identifier_value)
            .uuid(identity.own_profile_id.0)
            .uuid(identity.profile_id.0)
            .flag(identity.hub)
            .array(identity.spans.iter(), |row, span| {
                row.uuid(span.profile_id.0);
            })
            .array(identity.spans.iter(), |row, span| {
                row.time(span.valid_from);
            })
            .array(identity.spans.iter(), |row, span| {
                row.time(span.valid_to);
            })
            .long(identity.revision)
            .flag(identity.gone)
            .integer(identity.part);
        position.append(row);
    });
    Ok(())
}

pub(super) fn refusal(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let refusal: Refusal<'_> = framing::decode(message)?;
    rows[0].add(position.offset, |row| {
        row.text(refusal.workspace)
            .text(refusal.higher_type)
            .text(refusal.higher_value)
            .text(refusal.lower_type)
            .text(refusal.lower_value)
            .text(refusal.reason)
            .long(refusal.revision)
            .flag(refusal.gone);
        position.append(row);
    });
    Ok(())
}

/// A record of the links log: a link, an operator's entry, a consent, or rules.
pub(super) fn logged(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let [links, operations, consents, versions] = rows else {
        unreachable!("the links log has four tables");
    };
    match framing::split(message)?.0.name {
        Operation::SCHEMA => operation(message, position, operations),
        StitchingConsent::SCHEMA => consent(message, position, consents),
        Rules::SCHEMA => rules(message, position, versions),
        _ => link(message, position, links),
    }
}

fn rules(message: &[u8], position: Position<'_>, rows: &mut Rows) -> Result<(), framing::Error> {
    let rules: Rules<'_> = framing::decode(message)?;
    rows.add(position.offset, |row| {
        row.text(rules.workspace)
            .long(rules.version)
            .time(rules.published_at)
            .flag(rules.device_bridges)
            .text(rules.shared_devices.name())
            .flag(rules.consent_required)
            .integer(rules.hub)
            .array(rules.limits.iter(), |row, (r#type, limit)| {
                row.text(r#type).integer(*limit);
            });
        for texts in [
            &rules.blocked_values,
            &rules.blocked_patterns,
            &rules.sources_without_links,
        ] {
            row.array(texts.iter(), |row, text| {
                row.text(text);
            });
        }
        row.array(rules.types.iter(), |row, rule| {
            row.text(rule.name)
                .text(rule.kind.name())
                .text(rule.normalisation.name())
                .integer(rule.limit)
                .flag(rule.can_be_hub);
        });
        row.text(rules.strangers.name());
        position.append(row);
    });
    Ok(())
}

fn consent(message: &[u8], position: Position<'_>, rows: &mut Rows) -> Result<(), framing::Error> {
    let consent: StitchingConsent<'_> = framing::decode(message)?;
    rows.add(position.offset, |row| {
        row.text(consent.workspace)
            .text(consent.identifier_type)
            .text(consent.identifier_value)
            .integer(consent.partition)
            .time(consent.decided_at)
            .flag(consent.granted);
        position.append(row);
    });
    Ok(())
}

fn operation(
    message: &[u8],
    position: Position<'_>,
    rows: &mut Rows,
) -> Result<(), framing::Error> {
    let operation: Operation<'_> = framing::decode(message)?;
    rows.add(position.offset, |row| {
        row.text(operation.workspace)
            .uuid(operation.operation_id)
            .text(operation.kind.name())
            .text(operation.first_type)
            .text(operation.first_value)
            .text(operation.second_type)
            .text(operation.second_value)
            .optional_uuid(operation.undoes)
            .time(operation.entered_at)
            .text(operation.entered_by)
            .text(operation.reason);
        position.append(row);
    });
    Ok(())
}

fn link(message: &[u8], position: Position<'_>, rows: &mut Rows) -> Result<(), framing::Error> {
    let link: Link<'_> = framing::decode(message)?;
    rows.add(position.offset, |row| {
        row.text(link.workspace)
            .text(link.higher_type)
            .text(link.higher_value)
            .text(link.lower_type)
            .text(link.lower_value)
            .text(link.source)
            .integer(link.partition)
            .flag(link.may_link)
            .time(link.first_seen)
            .text(link.first_message_id)
            .integer(link.last_day);
        position.append(row);
    });
    Ok(())
}

pub(super) fn overrides(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let page: Override<'_> = framing::decode(message)?;
    let (ranges, messages) = (&page.ranges, &page.messages);
    rows[0].add(position.offset, |row| {
        row.text(page.workspace)
            .joined(page.timeline_type, page.timeline_value)
            .long(page.page)
            .long(page.revision)
            .array(ranges.iter(), |row, range| {
                row.time(range.from);
            })
            .array(ranges.iter(), |row, range| {
                row.time(range.to);
            })
            .array(ranges.iter(), |row, range| {
                row.optional_uuid(range.session_id.map(|id| id.0));
            })
            .array(ranges.iter(), |row, range| {
                row.optional_uuid(range.profile_id.map(|id| id.0));
            })
            .array(messages.iter(), |row, message| {
                row.text(message.message_id);
            })
            .array(messages.iter(), |row, message| {
                row.optional_uuid(message.session_id.map(|id| id.0));
            })
            .array(messages.iter(), |row, message| {
                row.optional_uuid(message.profile_id.map(|id| id.0));
            });
        position.append(row);
    });
    Ok(())
}
