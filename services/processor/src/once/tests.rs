use std::collections::BTreeMap;

use proptest::prelude::*;
use tributary_contracts::wire::{
    Atom, AtomBody, ClaimKind, EmailClaimKind, OrderState, ProductAmount, ProductSold, RefundAtom,
};
use tributary_contracts::{framing, keys};
use tributary_core::ids::ProfileId;
use tributary_core::money::Amount;
use uuid::Uuid;

use super::*;
use crate::runtime::memory::{MemoryOutputs, Sent};
use crate::runtime::stage::Stage as _;

fn profile(number: u128) -> ProfileId {
    ProfileId(Uuid::from_u128(number))
}

fn claim(
    kind: ClaimKind,
    message_id: &str,
    at: i64,
    total: Option<i64>,
    owner: Option<u128>,
) -> Claim<'_> {
    Claim {
        workspace: "shop",
        order_namespace: "online",
        order_id: "o-1",
        kind,
        message_id,
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        occurred_at: Timestamp(at),
        currency: "EUR",
        total: total.map(Amount::from_units),
        margin: None,
        channel: "web",
        source: "site",
        traffic_source: "direct",
        campaign: "",
        store: "",
        device_type: "mobile",
        session_id: None,
        profile_id: owner.map(profile),
        gone: owner.is_none(),
        products: Vec::new(),
    }
}

fn placed(message_id: &str, at: i64, total: i64, owner: u128) -> Claim<'_> {
    claim(ClaimKind::Placed, message_id, at, Some(total), Some(owner))
}

fn email_claim(
    kind: EmailClaimKind,
    message_id: &str,
    at: i64,
    owner: Option<u128>,
) -> EmailClaim<'_> {
    EmailClaim {
        workspace: "shop",
        email_id: "mail-1",
        recipient_type: "email",
        recipient_value: "ann@example.com",
        kind,
        message_id,
        timeline_type: "email",
        timeline_value: "ann@example.com",
        occurred_at: Timestamp(at),
        campaign: "spring",
        profile_id: owner.map(profile),
        gone: owner.is_none(),
    }
}

/// The stage and what is around it.
struct Bench {
    stage: Stage,
    outputs: MemoryOutputs,
    offset: i64,
}

impl Bench {
    fn new() -> Self {
        Self {
            stage: Stage::new(),
            outputs: MemoryOutputs::default(),
            offset: 0,
        }
    }

    fn take(&mut self, claim: &Claim<'_>) {
        let key = keys::joined(&[claim.workspace, claim.order_namespace, claim.order_id]);
        self.take_record(&key, &framing::encode(claim).expect("a claim"));
    }

    fn take_record(&mut self, key: &[u8], value: &[u8]) {
        let partition = keys::partition(key, self.outputs.partitions("claims"));
        let input = Input {
            partition,
            offset: self.offset,
            key,
            value: Some(value),
        };
        self.stage
            .take(&input, &self.outputs)
            .expect("a claim that can be used");
        self.offset += 1;
    }

    fn take_email(&mut self, claim: &EmailClaim<'_>) {
        self.take_record(b"mail-1", &framing::encode(claim).expect("a claim"));
    }

    fn hear(&mut self, word: &Word) {
        match word {
            Word::Order(claim) => self.take(claim),
            Word::Email(claim) => self.take_email(claim),
        }
    }

    fn flush(&mut self) -> Vec<Sent> {
        self.stage
            .flush(Timestamp(0), &mut self.outputs)
            .expect("memory does not fail");
        self.outputs.take_sent()
    }

    fn claimed(&mut self, claims: &[Claim<'_>]) -> Vec<Sent> {
        claims.iter().for_each(|claim| self.take(claim));
        self.flush()
    }

    /// As after a crash: the state is there, the stage is new.
    fn restart(&mut self) {
        self.stage = Stage::new();
        self.stage
            .assigned(&[0, 1, 2, 3], &self.outputs)
            .expect("memory does not fail");
    }
}

/// Orders as total, refunded, owner and whether gone; atoms as owner and total, negative of a refund, none where it is gone.
fn told(
    sent: &[Sent],
) -> (
    Vec<(String, String, Option<ProfileId>, bool)>,
    Vec<(ProfileId, Option<String>)>,
) {
    let (mut orders, mut atoms) = (Vec::new(), Vec::new());
    for sent in sent {
        match sent.topic {
            "orders" => {
                let order: OrderState<'_> = framing::decode(&sent.value).expect("an order");
                orders.push((
                    order.total.to_string(),
                    order.refunded.to_string(),
                    order.profile_id,
                    order.gone,
                ));
            }
            "atoms" => {
                let atom: Atom<'_> = framing::decode(&sent.value).expect("an atom");
                let owner = atom.profile_id.to_string();
                assert_eq!(
                    sent.key,
                    keys::joined(&[atom.workspace, &owner, atom.atom_id])
                );
                assert_eq!(
                    sent.partition,
                    keys::partition(&keys::joined(&[atom.workspace, &owner]), 4)
                );
                let total = atom.body.map(|body| match body {
                    AtomBody::OrderAtom(order) => order.total.to_string(),
                    AtomBody::RefundAtom(refund) => (-refund.amount).to_string(),
                    other => panic!("{other:?}"),
                });
                atoms.push((atom.profile_id, total));
            }
            topic => panic!("{topic}"),
        }
    }
    (orders, atoms)
}

fn order(total: &str, refunded: &str, owner: u128) -> (String, String, Option<ProfileId>, bool) {
    (
        total.to_owned(),
        refunded.to_owned(),
        Some(profile(owner)),
        false,
    )
}

fn atom(owner: u128, total: &str) -> (ProfileId, Option<String>) {
    (profile(owner), Some(total.to_owned()))
}

#[test]
fn an_order_claimed_by_two_events_is_emitted_once_and_again_only_when_something_is_new() {
    let mut bench = Bench::new();
    let sent = bench.claimed(&[placed("b", 2, 20, 1), placed("a", 1, 10, 1)]);
    assert_eq!(
        told(&sent),
        (vec![order("10", "0", 1)], vec![atom(1, "10")])
    );
    assert_eq!(
        bench.claimed(&[placed("b", 2, 20, 1), placed("a", 1, 10, 1)]),
        [],
        "the same again"
    );
    bench.restart();
    assert_eq!(
        bench.claimed(&[placed("a", 1, 10, 1)]),
        [],
        "the same again, after a restart"
    );
    let sent = bench.claimed(&[placed("z", 0, 5, 2)]);
    assert_eq!(
        told(&sent),
        (
            vec![order("5", "0", 2)],
            vec![(profile(1), None), atom(2, "5")]
        ),
        "an earlier claim"
    );
}

#[test]
fn an_order_whose_owner_changes_is_gone_from_the_old_profile_and_new_to_the_other_at_once() {
    let mut bench = Bench::new();
    bench.claimed(&[placed("a", 1, 10, 1)]);
    let sent = bench.claimed(&[placed("a", 1, 10, 2)]);
    assert_eq!(
        told(&sent),
        (
            vec![order("10", "0", 2)],
            vec![(profile(1), None), atom(2, "10")]
        )
    );
    let sent = bench.claimed(&[claim(ClaimKind::Placed, "a", 1, Some(10), None)]);
    let gone = ("10".to_owned(), "0".to_owned(), Some(profile(2)), true);
    assert_eq!(
        told(&sent),
        (vec![gone], vec![(profile(2), None)]),
        "owned by nobody"
    );
    let sent = bench.claimed(&[placed("a", 1, 10, 1)]);
    assert_eq!(
        told(&sent),
        (vec![order("10", "0", 1)], vec![atom(1, "10")]),
        "owned again"
    );
}

#[test]
fn a_refund_waits_for_its_order_and_moves_with_it() {
    let mut bench = Bench::new();
    let refund = |owner| claim(ClaimKind::Refunded, "r", 5, Some(4), owner);
    assert_eq!(bench.claimed(&[refund(Some(9))]), [], "of an unknown order");
    bench.restart();
    let sent = bench.claimed(&[placed("a", 1, 10, 1)]);
    assert_eq!(
        told(&sent),
        (
            vec![order("10", "4", 1)],
            vec![atom(1, "10"), atom(1, "-4")]
        )
    );
    let sent = bench.claimed(&[claim(ClaimKind::Cancelled, "c", 6, None, Some(1))]);
    assert_eq!(
        told(&sent),
        (vec![order("10", "10", 1)], vec![atom(1, "-6")]),
        "only what is left, as of the cancellation"
    );
    let sent = bench.claimed(&[placed("a", 1, 10, 2)]);
    let (orders, mut atoms) = told(&sent);
    atoms.sort();
    let gone = (profile(1), None);
    assert_eq!(orders, [order("10", "10", 2)], "of another owner");
    assert_eq!(
        atoms,
        [
            gone.clone(),
            gone.clone(),
            gone,
            atom(2, "-4"),
            atom(2, "-6"),
            atom(2, "10")
        ]
    );
    let late = claim(ClaimKind::Refunded, "l", 2, Some(7), Some(2));
    let (orders, mut atoms) = told(&bench.claimed(&[late]));
    atoms.sort();
    assert_eq!(orders, [], "as much is given back, but otherwise");
    assert_eq!(atoms, [(profile(2), None), atom(2, "-3"), atom(2, "-7")]);
}

#[test]
fn an_atom_says_what_each_product_brings_and_what_of_it_is_given_back() {
    let product = |product_id, units| ProductAmount {
        product_id,
        amount: Amount::from_units(units),
    };
    let placed = Claim {
        margin: Some(Amount::from_units(9)),
        products: vec![product("p1", 20), product("p2", 10)],
        ..placed("a", 1, 60, 1)
    };
    let refunded = Claim {
        products: vec![product("p2", 4)],
        ..claim(ClaimKind::Refunded, "r", 5, Some(4), Some(1))
    };
    let part = claim(ClaimKind::Refunded, "s", 6, Some(6), Some(1));
    let sent = Bench::new().claimed(&[part, refunded, placed]);
    let atoms = sent.iter().filter(|sent| sent.topic == "atoms");
    let bodies = atoms.map(|sent| {
        framing::decode::<Atom<'_>>(&sent.value)
            .expect("an atom")
            .body
    });
    let (mut orders, mut refunds) = (Vec::new(), Vec::new());
    for body in bodies {
        match body {
            Some(AtomBody::OrderAtom(order)) => orders.push(order.products),
            Some(AtomBody::RefundAtom(RefundAtom {
                refunded_at,
                currency: "EUR",
                channel: "web",
                products,
                ..
            })) => refunds.push((refunded_at, products)),
            other => panic!("{other:?}"),
        }
    }
    let sold = |product_id, amount, margin| ProductSold {
        product_id,
        amount: Amount::from_units(amount),
        margin: Some(Amount::from_units(margin)),
    };
    assert_eq!(orders, [[sold("p1", 20, 6), sold("p2", 10, 3)]]);
    refunds.sort_by_key(|(refunded_at, _)| *refunded_at);
    let tenth = vec![product("p1", 2), product("p2", 1)];
    assert_eq!(
        refunds,
        [
            (Timestamp(5), vec![product("p2", 4)]),
            (Timestamp(6), tenth)
        ]
    );
}

/// What is there, where nothing may be read but by its key.
struct ByKey<'a>(&'a mut MemoryOutputs);

impl Store for ByKey<'_> {
    fn get(&self, partition: i32, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        self.0.get(partition, key)
    }

    fn scan(
        &self,
        _partition: i32,
        prefix: &[u8],
        _visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        panic!("reads all of {}", prefix.escape_ascii())
    }

    fn next_key(
        &self,
        partition: i32,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, Broken> {
        self.0.next_key(partition, prefix, after)
    }
}

impl Outputs for ByKey<'_> {
    fn send(
        &mut self,
        topic: &'static str,
        partition: i32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Broken> {
        self.0.send(topic, partition, key, value)
    }

    fn partitions(&self, topic: &'static str) -> u32 {
        self.0.partitions(topic)
    }

    fn put(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), Broken> {
        self.0.put(partition, key, value)
    }
}

#[test]
fn one_claim_more_of_an_order_or_an_email_costs_as_much_however_many_there_are() {
    let mut bench = Bench::new();
    let products: Vec<String> = (0..100).map(|number| format!("product {number}")).collect();
    let products = products.iter().map(|product_id| ProductAmount {
        product_id,
        amount: Amount::from_units(100),
    });
    let order = Claim {
        products: products.collect(),
        ..placed("first", 0, 10_000, 1)
    };
    let messages: Vec<String> = (0..3_000).map(|number| format!("m{number:04}")).collect();
    let later = (1..).zip(&messages);
    let refunds =
        later.map(|(at, message)| claim(ClaimKind::Refunded, message, at, Some(1), Some(1)));
    let refunds: Vec<Claim<'_>> = refunds.collect();
    bench.claimed(&[order]);
    bench.take_email(&email_claim(EmailClaimKind::Sent, "first", 0, Some(1)));
    bench.flush();
    let mut each = Vec::new();
    for (at, (refund, message)) in (1..).zip(refunds.iter().zip(&messages)) {
        bench.take(refund);
        bench.take_email(&email_claim(EmailClaimKind::Opened, message, at, Some(1)));
        bench
            .stage
            .flush(Timestamp(0), &mut ByKey(&mut bench.outputs))
            .expect("memory does not fail");
        let sent = bench.outputs.take_sent();
        let largest = sent.iter().map(|sent| sent.value.len()).max();
        assert!(largest < Some(5_000), "a message of {largest:?} bytes");
        each.push(sent.len());
    }
    // The order, the refund, and once that the e-mail was opened.
    assert_eq!(each[0], 3);
    assert!(each[1..].iter().all(|sent| *sent == 2), "{each:?}");
}

#[test]
fn revisions_of_an_order_and_of_its_atom_only_grow() {
    let mut bench = Bench::new();
    let mut last = BTreeMap::new();
    for owner in [1, 2, 2, 1, 3, 1, 2] {
        for sent in bench.claimed(&[placed("a", 1, 10, owner)]) {
            let revision = match sent.topic {
                "orders" => {
                    framing::decode::<OrderState<'_>>(&sent.value)
                        .expect("an order")
                        .revision
                }
                _ => {
                    framing::decode::<Atom<'_>>(&sent.value)
                        .expect("an atom")
                        .revision
                }
            };
            let before = last.insert((sent.topic, sent.key.clone()), revision);
            assert!(
                before < Some(revision),
                "{}: {before:?}, then {revision}",
                sent.topic
            );
        }
    }
}

#[test]
fn what_is_no_claim_is_poison_and_the_stage_goes_on() {
    let mut bench = Bench::new();
    for value in [None, Some(b"no claim".as_slice())] {
        let input = Input {
            partition: 0,
            offset: 0,
            key: b"",
            value,
        };
        let poison = bench
            .stage
            .take(&input, &bench.outputs)
            .expect_err("poison");
        assert_eq!(poison.reason, "malformed");
    }
    assert_eq!(
        told(&bench.claimed(&[placed("a", 1, 10, 1)])).1,
        [atom(1, "10")]
    );
}

/// A claim of either kind.
#[derive(Clone, Debug)]
enum Word {
    Order(Claim<'static>),
    Email(EmailClaim<'static>),
}

/// Each event's claims in the order in which they are made: the owner changes, the rest does not.
type History = Vec<Vec<Word>>;

fn histories() -> impl Strategy<Value = History> {
    let order = prop_oneof![
        3 => Just(ClaimKind::Placed),
        2 => Just(ClaimKind::Refunded),
        1 => Just(ClaimKind::Cancelled),
    ];
    let email = prop::sample::select(vec![
        EmailClaimKind::Sent,
        EmailClaimKind::Sent,
        EmailClaimKind::Delivered,
        EmailClaimKind::Bounced,
        EmailClaimKind::Opened,
        EmailClaimKind::Clicked,
    ]);
    let owners = || prop::collection::vec(prop::option::of(1..4_u128), 1..4);
    let amount = prop::option::of(0..40_i64);
    let order_ids = prop::sample::select(vec!["o-1", "o-2"]);
    let order = (order, 0..3_i64, amount, owners(), order_ids).prop_map(
        |(kind, at, total, owners, order_id)| {
            let claim = move |owner| Claim {
                order_id,
                ..claim(kind, "", at, total, owner)
            };
            let each = owners.into_iter().map(claim);
            each.map(Word::Order).collect::<Vec<_>>()
        },
    );
    let email = (email, 0..3_i64, owners()).prop_map(|(kind, at, owners)| {
        let claim = move |owner| email_claim(kind, "", at, owner);
        let each = owners.into_iter().map(claim);
        each.map(Word::Email).collect::<Vec<_>>()
    });
    let event = prop_oneof![2 => order, 1 => email];
    prop::collection::vec(event, 1..8).prop_map(|mut events| {
        let messages = ["a", "b", "c", "d", "e", "f", "g"];
        for (words, message) in events.iter_mut().zip(messages) {
            for word in words {
                match word {
                    Word::Order(claim) => claim.message_id = message,
                    Word::Email(claim) => claim.message_id = message,
                }
            }
        }
        events
    })
}

/// Interleaves the histories, each in its own order, with claims said twice, flushes and restarts in between.
fn outcome(history: &History, choices: &[u8]) -> BTreeMap<(&'static str, Vec<u8>), Vec<u8>> {
    let mut bench = Bench::new();
    let mut next = vec![0; history.len()];
    let mut choices = choices.iter().cycle();
    let mut sent = Vec::new();
    while next
        .iter()
        .zip(history)
        .any(|(next, claims)| *next < claims.len())
    {
        let choice = usize::from(*choices.next().expect("a cycle"));
        let open: Vec<usize> = (0..history.len())
            .filter(|event| next[*event] < history[*event].len())
            .collect();
        let event = open[choice % open.len()];
        bench.hear(&history[event][next[event]]);
        if choice % 5 == 0 {
            bench.hear(&history[event][next[event]]);
        }
        next[event] += 1;
        if choice % 3 == 0 {
            sent.extend(bench.flush());
        }
        if choice % 9 == 0 {
            bench.restart();
        }
    }
    sent.extend(bench.flush());
    // What consumers hold at the end, without what tells how it came about.
    let mut held = BTreeMap::new();
    for sent in sent {
        let value = match sent.topic {
            "orders" => {
                let order: OrderState<'_> = framing::decode(&sent.value).expect("an order");
                (!order.gone).then(|| {
                    framing::encode(&OrderState {
                        revision: 0,
                        ..order
                    })
                    .expect("an order")
                })
            }
            _ => {
                let atom: Atom<'_> = framing::decode(&sent.value).expect("an atom");
                atom.body.is_some().then(|| {
                    framing::encode(&Atom {
                        revision: 0,
                        ..atom
                    })
                    .expect("an atom")
                })
            }
        };
        match value {
            Some(value) => held.insert((sent.topic, sent.key), value),
            None => held.remove(&(sent.topic, sent.key)),
        };
    }
    held
}

proptest! {
    #[test]
    fn any_interleaving_with_repeats_flushes_and_restarts_ends_in_the_same(
        history in histories(),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        // All at once, each event's last word only.
        let last: History = history.iter().map(|claims| claims[claims.len() - 1..].to_vec()).collect();
        // A restart loses what was taken and not flushed: so every restart in `outcome` follows a flush.
        prop_assert_eq!(outcome(&last, &[1]), outcome(&history, &choices));
    }

    #[test]
    fn an_order_has_one_atom_and_it_is_its_owners_as_are_its_refunds(history in histories(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        let held = outcome(&history, &choices);
        let orders = held.iter().filter(|((topic, _), _)| *topic == "orders").map(|(_, value)| value);
        let mut owners: Vec<_> = orders.map(|value| {
            let order: OrderState<'_> = framing::decode(value).expect("an order");
            (order.order_id.to_owned(), order.profile_id)
        }).collect();
        owners.sort();
        let mut atoms: Vec<_> = held.iter().filter(|((topic, _), _)| *topic == "atoms").map(|(_, value)| {
            let atom: Atom<'_> = framing::decode(value).expect("an atom");
            let mut parts = atom.atom_id.split('\u{1}');
            let kind = parts.next().expect("a kind").to_owned();
            let order_id = parts.nth(1).expect("an order id");
            (kind, (order_id.to_owned(), Some(atom.profile_id)))
        }).collect();
        atoms.sort();
        let of = |kind| atoms.iter().filter(move |atom| atom.0 == kind).map(|atom| &atom.1);
        prop_assert!(owners.iter().eq(of("order")), "{owners:?} and {atoms:?}");
        prop_assert!(of("refund").all(|owner| owners.contains(owner)), "{owners:?} and {atoms:?}");
    }
}
