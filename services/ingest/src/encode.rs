//! Encodes touchpoints and dead letters, framed as the contracts say; touchpoints into buffers that are used again.

use std::cell::RefCell;

use tributary_contracts::wire::{self, DeadLetter, Touchpoint};
use tributary_contracts::{framing, keys};
use tributary_core::time::Timestamp;

use crate::classify::Classified;
use crate::normalise::Normalised;
use crate::source::Source;
use crate::validate::Message;
use crate::validate::answers::Answer;
use crate::validate::order::Order;

/// Key and message of the event at hand; one of each per thread.
#[derive(Default)]
struct Scratch {
    key: Vec<u8>,
    payload: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Hands the key and the message of a touchpoint to `publish`.
pub(crate) fn touchpoint<R>(
    message: &Message<'_>,
    normalised: &Normalised<'_>,
    classified: &Classified<'_>,
    source: &Source,
    received_at: Timestamp,
    publish: impl FnOnce(&[u8], &[u8]) -> R,
) -> R {
    let (timeline_type, timeline_value) = (normalised.timeline.0, &*normalised.timeline.1);
    let touchpoint = Touchpoint {
        workspace: &source.workspace,
        message_id: &message.message_id,
        r#type: message.call.name(),
        event: &message.event,
        channel: classified.channel,
        source: &source.name,
        order_namespace: &source.order_namespace,
        subject: normalised.subject,
        activity: classified.activity,
        bot: classified.bot,
        historic: source.historic,
        may_link: source.may_link,
        occurred_at: normalised.time.occurred_at,
        received_at,
        sent_at: message.sent_at,
        original_timestamp: message.client_time,
        clock_correction_ms: normalised.time.correction,
        timeline_type,
        timeline_value,
        identifiers: normalised.identifiers.iter().map(identifier).collect(),
        consents: message
            .consents
            .iter()
            .map(|consent| wire::Consent {
                purpose: &consent.purpose,
                granted: consent.granted,
            })
            .collect(),
        device_type: classified.device_type,
        store: &classified.store,
        traffic_source: &classified.traffic_source,
        campaign: wire::Campaign {
            name: &classified.campaign.name,
            source: &classified.campaign.source,
            medium: &classified.campaign.medium,
            term: &classified.campaign.term,
            content: &classified.campaign.content,
        },
        url: &message.url,
        referrer: &message.referrer,
        group_id: &message.group_id,
        order: message
            .order
            .as_ref()
            .map(|order| self::order(order, message, source)),
        answers: message.answers.iter().map(answer).collect(),
        traits: message.traits_json,
        properties: message.properties_json,
        context: &normalised.context,
    };
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.key.clear();
        keys::append_timeline(
            &source.workspace,
            timeline_type,
            timeline_value,
            &mut scratch.key,
        );
        scratch.payload.clear();
        touchpoint.frame(&mut scratch.payload);
        publish(&scratch.key, &scratch.payload)
    })
}

/// Hands the key and the message of a dead letter to `publish`.
pub(crate) fn dead_letter<R>(
    letter: &DeadLetter<'_>,
    publish: impl FnOnce(&[u8], &[u8]) -> R,
) -> R {
    let key = keys::joined(&[letter.workspace, letter.source]);
    let payload = framing::encode(letter).expect("a dead letter is text, numbers and bytes");
    publish(&key, &payload)
}

fn identifier<'i>(
    identifier: &'i crate::normalise::identifiers::Identifier<'_>,
) -> wire::Identifier<'i> {
    let (value, raw) = (&*identifier.value, &*identifier.raw);
    wire::Identifier {
        r#type: identifier.r#type.name(),
        value,
        raw: if raw == value { "" } else { raw },
        flags: identifier.flags,
    }
}

fn order<'i>(
    order: &'i Order<'_>,
    message: &'i Message<'_>,
    source: &'i Source,
) -> wire::Order<'i> {
    let line = |line: &'i crate::validate::order::Line<'_>| wire::OrderLine {
        product_id: &line.product_id,
        sku: &line.sku,
        name: &line.name,
        category: &line.category,
        brand: &line.brand,
        variant: &line.variant,
        coupon: &line.coupon,
        quantity: line.quantity,
        price: line.price,
    };
    wire::Order {
        kind: order.kind,
        order_id: if order.order_id.is_empty() {
            &message.message_id
        } else {
            &order.order_id
        },
        currency: if order.currency.is_empty() {
            &source.currency
        } else {
            &order.currency
        },
        total: order.total,
        margin: order.margin,
        lines: order.lines.iter().map(line).collect(),
    }
}

fn answer<'i>(answer: &'i Answer<'_>) -> wire::Answer<'i> {
    wire::Answer {
        question_id: &answer.question_id,
        wording: &answer.wording,
        kind: answer.kind,
        aspect: &answer.aspect,
        scale: answer.scale,
        value: answer.value,
        comment: &answer.comment,
        product: &answer.product,
        touchpoint: &answer.touchpoint,
    }
}
