//! Touchpoints are written and read field by field: the same bytes, and the same values, as by the schema.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tributary_contracts::framing;
use tributary_contracts::wire::*;
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;
use uuid::Uuid;

/// Of lengths on both sides of what one byte can say, and of more than ASCII.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,3}", "\\PC{60,70}", Just("ü".repeat(5000))]
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        any::<i64>().prop_map(|units| Amount::from_millionths(units.into())),
        (-300..300_i128).prop_map(Amount::from_millionths),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i32>().prop_map(i64::from), any::<i64>()].prop_map(Timestamp)
}

proptest! {
    #[test]
    fn what_is_written_field_by_field_is_what_the_schema_says(
        texts in vec(text(), 1..40),
        flags in any::<[bool; 5]>(),
        bits in any::<i32>(),
        correction in any::<i64>(),
        times in [time(), time()],
        said in [option::of(time()), option::of(time())],
        amounts in vec(option::of(amount()), 8),
        lengths in [0..4_usize, 0..3_usize, 0..3_usize, 0..4_usize],
        order in option::of(0..3_usize),
        ids in any::<[Option<u128>; 2]>(),
    ) {
        let mut texts = texts.iter().cycle();
        let mut text = || texts.next().expect("a cycle").as_str();
        let mut amount = amounts.iter().cycle().copied();
        let mut amount = || amount.next().expect("a cycle");
        let touchpoint = Touchpoint {
            workspace: text(),
            message_id: text(),
            r#type: text(),
            event: text(),
            channel: text(),
            source: text(),
            order_namespace: text(),
            subject: if flags[4] { Subject::Customer } else { Subject::Source },
            activity: if flags[0] { Activity::Active } else { Activity::Passive },
            bot: flags[1],
            historic: flags[2],
            may_link: flags[3],
            occurred_at: times[0],
            received_at: times[1],
            sent_at: said[0],
            original_timestamp: said[1],
            clock_correction_ms: correction,
            timeline_type: text(),
            timeline_value: text(),
            identifiers: (0..lengths[0])
                .map(|_| Identifier { r#type: text(), value: text(), raw: text(), flags: bits })
                .collect(),
            consents: (0..lengths[1])
                .map(|_| Consent { purpose: text(), granted: flags[0] })
                .collect(),
            device_type: text(),
            store: text(),
            traffic_source: text(),
            campaign: Campaign {
                name: text(),
                source: text(),
                medium: text(),
                term: text(),
                content: text(),
            },
            url: text(),
            referrer: text(),
            group_id: text(),
            order: order.map(|kind| Order {
                kind: [OrderKind::Placed, OrderKind::Refunded, OrderKind::Cancelled][kind],
                order_id: text(),
                currency: text(),
                total: amount(),
                margin: amount(),
                lines: (0..lengths[3])
                    .map(|_| OrderLine {
                        product_id: text(),
                        sku: text(),
                        name: text(),
                        category: text(),
                        brand: text(),
                        variant: text(),
                        coupon: text(),
                        quantity: amount().unwrap_or_default(),
                        price: amount(),
                    })
                    .collect(),
            }),
            answers: (0..lengths[2])
                .map(|_| Answer {
                    question_id: text(),
                    wording: text(),
                    kind: text(),
                    aspect: text(),
                    scale: text(),
                    value: amount(),
                    comment: text(),
                    product: text(),
                    touchpoint: text(),
                })
                .collect(),
            traits: text(),
            properties: text(),
            context: text(),
        };
        let mut framed = Vec::new();
        touchpoint.frame(&mut framed);
        prop_assert_eq!(&framed, &framing::encode(&touchpoint).expect("it fits the schema"));
        prop_assert_eq!(&Touchpoint::unframe(&framed).expect("a touchpoint"), &touchpoint);
        for end in (0..framed.len()).step_by(framed.len() / 50 + 1) {
            prop_assert!(Touchpoint::unframe(&framed[..end]).is_err(), "cut off at {end}");
        }

        let (session_id, profile_id) = (
            ids[0].map(|id| SessionId(Uuid::from_u128(id))),
            ids[1].map(|id| ProfileId(Uuid::from_u128(id))),
        );
        let mut resolved = Vec::new();
        ResolvedTouchpoint::frame(session_id, profile_id, correction, &framed, &mut resolved)
            .expect("a touchpoint");
        let record = ResolvedTouchpoint { session_id, profile_id, links_offset: correction, touchpoint };
        prop_assert_eq!(&resolved, &framing::encode(&record).expect("it fits the schema"));
        prop_assert_eq!(ResolvedTouchpoint::unframe(&resolved).expect("a record"), record);
    }
}
