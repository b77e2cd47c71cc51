//! Touchpoints from and to their framed bytes, without a look at the schema: every event is written once and read
//! twice, and by names that cost a third of ingest's and observe's own time.

use std::sync::LazyLock;

use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::time::Timestamp;

use super::{
    Activity, Answer, Campaign, Consent, Identifier, Order, OrderKind, OrderLine,
    ResolvedTouchpoint, Subject, Touchpoint,
};
use crate::datum::{Malformed, Reader, Writer};
use crate::framing::{Error, Message, header, split_as};
use crate::registry::{self, Schema};

/// The schemas that are read here, field by field, from version 1 on; the last is written. A resolved touchpoint holds a
/// touchpoint of the same version.
type Versions = LazyLock<Vec<&'static Schema>>;
static TOUCHPOINT: Versions = LazyLock::new(|| versions(Touchpoint::SCHEMA));
static RESOLVED_TOUCHPOINT: Versions = LazyLock::new(|| versions(ResolvedTouchpoint::SCHEMA));

/// The version that is written.
const LATEST: usize = 2;

fn versions(name: &str) -> Vec<&'static Schema> {
    let mut versions: Vec<&Schema> = registry::all()
        .iter()
        .filter(|schema| schema.name == name)
        .collect();
    versions.sort_by_key(|schema| schema.version);
    versions
}

impl<'a> Touchpoint<'a> {
    /// Appends the framed touchpoint to `buffer`.
    pub fn frame(&self, buffer: &mut Vec<u8>) {
        header(TOUCHPOINT[LATEST - 1].id, buffer);
        self.write(&mut Writer(buffer));
    }

    /// Reads a framed touchpoint, borrowing its texts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn unframe(message: &'a [u8]) -> Result<Self, Error> {
        whole(&TOUCHPOINT, message, Self::read)
    }

    fn write(&self, out: &mut Writer<'_>) {
        for text in [
            self.workspace,
            self.message_id,
            self.r#type,
            self.event,
            self.channel,
            self.source,
            self.order_namespace,
        ] {
            out.string(text);
        }
        out.long(match self.subject {
            Subject::Customer => 0,
            Subject::Source => 1,
        });
        out.long(match self.activity {
            Activity::Active => 0,
            Activity::Passive => 1,
        });
        out.boolean(self.bot);
        out.boolean(self.historic);
        out.boolean(self.may_link);
        out.long(self.occurred_at.0);
        out.long(self.received_at.0);
        out.optional(self.sent_at, |out, time| out.long(time.0));
        out.optional(self.original_timestamp, |out, time| out.long(time.0));
        out.long(self.clock_correction_ms);
        out.string(self.timeline_type);
        out.string(self.timeline_value);
        out.array(&self.identifiers, |out, identifier| {
            out.string(identifier.r#type);
            out.string(identifier.value);
            out.string(identifier.raw);
            out.long(identifier.flags.into());
        });
        out.array(&self.consents, |out, consent| {
            out.string(consent.purpose);
            out.boolean(consent.granted);
        });
        let campaign = &self.campaign;
        for text in [
            self.device_type,
            self.store,
            self.traffic_source,
            campaign.name,
            campaign.source,
            campaign.medium,
            campaign.term,
            campaign.content,
            self.url,
            self.referrer,
            self.group_id,
        ] {
            out.string(text);
        }
        out.optional(self.order.as_ref(), write_order);
        out.array(&self.answers, write_answer);
        out.string(self.traits);
        out.string(self.properties);
        out.string(self.context);
    }

    /// The fields of a struct expression are read in the order in which they are written down: the schema's.
    fn read(from: &mut Reader<'a>, version: usize) -> Result<Self, Malformed> {
        Ok(Self {
            workspace: from.string()?,
            message_id: from.string()?,
            r#type: from.string()?,
            event: from.string()?,
            channel: from.string()?,
            source: from.string()?,
            order_namespace: from.string()?,
            subject: match from.long()? {
                0 => Subject::Customer,
                1 => Subject::Source,
                _ => return Err(Malformed),
            },
            activity: match from.long()? {
                0 => Activity::Active,
                1 => Activity::Passive,
                _ => return Err(Malformed),
            },
            bot: from.boolean()?,
            historic: from.boolean()?,
            may_link: from.boolean()?,
            occurred_at: time(from)?,
            received_at: time(from)?,
            sent_at: from.optional(time)?,
            original_timestamp: from.optional(time)?,
            clock_correction_ms: from.long()?,
            timeline_type: from.string()?,
            timeline_value: from.string()?,
            identifiers: from.array(|from| {
                Ok(Identifier {
                    r#type: from.string()?,
                    value: from.string()?,
                    raw: from.string()?,
                    flags: from.int()?,
                })
            })?,
            consents: from.array(|from| {
                Ok(Consent {
                    purpose: from.string()?,
                    granted: from.boolean()?,
                })
            })?,
            device_type: from.string()?,
            store: from.string()?,
            traffic_source: from.string()?,
            campaign: Campaign {
                name: from.string()?,
                source: from.string()?,
                medium: from.string()?,
                term: from.string()?,
                content: from.string()?,
            },
            url: from.string()?,
            referrer: from.string()?,
            group_id: from.string()?,
            order: from.optional(read_order)?,
            answers: from.array(|from| read_answer(from, version))?,
            traits: from.string()?,
            properties: from.string()?,
            context: from.string()?,
        })
    }
}

impl<'a> ResolvedTouchpoint<'a> {
    /// Appends the framed resolved touchpoint to `buffer`, made from the framed `touchpoint` without decoding it: a
    /// nested record's datum stands in its parent's byte for byte.
    ///
    /// # Errors
    /// When `touchpoint` is not a framed touchpoint of a version that a resolved touchpoint can hold.
    pub fn frame(
        session: Option<SessionId>,
        profile: Option<ProfileId>,
        links_offset: i64,
        touchpoint: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (version, touchpoint) = datum(&TOUCHPOINT, touchpoint)?;
        header(RESOLVED_TOUCHPOINT[version - 1].id, buffer);
        let out = &mut Writer(buffer);
        for id in [
            session.map(|session| session.0),
            profile.map(|profile| profile.0),
        ] {
            out.optional(id, |out, id| {
                let mut text = uuid::Uuid::encode_buffer();
                out.string(id.hyphenated().encode_lower(&mut text));
            });
        }
        out.long(links_offset);
        buffer.extend_from_slice(touchpoint);
        Ok(())
    }

    /// Reads a framed resolved touchpoint, borrowing its texts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn unframe(message: &'a [u8]) -> Result<Self, Error> {
        whole(&RESOLVED_TOUCHPOINT, message, |from, version| {
            Ok(Self {
                session_id: from.optional(uuid)?.map(SessionId),
                profile_id: from.optional(uuid)?.map(ProfileId),
                links_offset: from.long()?,
                touchpoint: Touchpoint::read(from, version)?,
            })
        })
    }
}

/// Version and datum of a framed message of one of these schemas.
fn datum<'a>(versions: &[&'static Schema], message: &'a [u8]) -> Result<(usize, &'a [u8]), Error> {
    let (found, datum) = split_as(versions[0].name, message)?;
    let known = versions.iter().position(|schema| schema.id == found.id);
    let place = known.ok_or(Error::UnknownSchema(found.id))?;
    Ok((place + 1, datum))
}

fn whole<'a, T>(
    versions: &[&'static Schema],
    message: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>, usize) -> Result<T, Malformed>,
) -> Result<T, Error> {
    let (version, datum) = datum(versions, message)?;
    let mut from = Reader(datum);
    read(&mut from, version)
        .and_then(|value| from.end().map(|()| value))
        .map_err(|Malformed| Error::Malformed(versions[0].name))
}

fn time(from: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    from.long().map(Timestamp)
}

fn uuid(from: &mut Reader<'_>) -> Result<uuid::Uuid, Malformed> {
    uuid::Uuid::try_parse_ascii(from.bytes()?).map_err(|_| Malformed)
}

fn write_order(out: &mut Writer<'_>, order: &Order<'_>) {
    out.long(match order.kind {
        OrderKind::Placed => 0,
        OrderKind::Refunded => 1,
        OrderKind::Cancelled => 2,
    });
    out.string(order.order_id);
    out.string(order.currency);
    out.optional(order.total, Writer::decimal);
    out.optional(order.margin, Writer::decimal);
    out.array(&order.lines, |out, line| {
        for text in [
            line.product_id,
            line.sku,
            line.name,
            line.category,
            line.brand,
            line.variant,
            line.coupon,
        ] {
            out.string(text);
        }
        out.decimal(line.quantity);
        out.optional(line.price, Writer::decimal);
    });
}

fn read_order<'a>(from: &mut Reader<'a>) -> Result<Order<'a>, Malformed> {
    Ok(Order {
        kind: match from.long()? {
            0 => OrderKind::Placed,
            1 => OrderKind::Refunded,
            2 => OrderKind::Cancelled,
            _ => return Err(Malformed),
        },
        order_id: from.string()?,
        currency: from.string()?,
        total: from.optional(Reader::decimal)?,
        margin: from.optional(Reader::decimal)?,
        lines: from.array(|from| {
            Ok(OrderLine {
                product_id: from.string()?,
                sku: from.string()?,
                name: from.string()?,
                category: from.string()?,
                brand: from.string()?,
                variant: from.string()?,
                coupon: from.string()?,
                quantity: from.decimal()?,
                price: from.optional(Reader::decimal)?,
            })
        })?,
    })
}

fn write_answer(out: &mut Writer<'_>, answer: &Answer<'_>) {
    for text in [
        answer.question_id,
        answer.wording,
        answer.kind,
        answer.aspect,
        answer.scale,
    ] {
        out.string(text);
    }
    out.optional(answer.value, Writer::decimal);
    out.string(answer.comment);
    out.string(answer.product);
    out.string(answer.touchpoint);
}

fn read_answer<'a>(from: &mut Reader<'a>, version: usize) -> Result<Answer<'a>, Malformed> {
    Ok(Answer {
        question_id: from.string()?,
        wording: from.string()?,
        kind: from.string()?,
        aspect: from.string()?,
        scale: from.string()?,
        value: from.optional(Reader::decimal)?,
        comment: from.string()?,
        product: from.string()?,
        touchpoint: if version > 1 { from.string()? } else { "" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_one_that_is_written_here() {
        for versions in [&TOUCHPOINT, &RESOLVED_TOUCHPOINT] {
            let numbers: Vec<u32> = versions.iter().map(|schema| schema.version).collect();
            assert_eq!(numbers, [1, LATEST as u32]);
        }
    }
}
