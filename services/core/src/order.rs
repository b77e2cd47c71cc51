//! An order, decided from the set of everything that was claimed of it.

use serde::{Deserialize, Serialize};

use crate::money::Amount;
use crate::place::Place;
use crate::time::Timestamp;

/// What one event says of an order. A message determines its claim, but for whom it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// What happened.
    pub kind: Kind,
    /// Event time.
    pub occurred_at: Timestamp,
    /// Message id.
    pub message_id: &'a str,
    /// Type and value of the timeline; with the message id it names the claim.
    pub timeline: (&'a str, &'a str),
    /// Of a placed order its total; of a refund what is given back, of either sign; none where it was not said: then all
    /// that is left.
    pub amount: Option<Amount>,
    /// Products, each once, sorted by id: what their lines come to.
    pub products: &'a [Product<'a>],
    /// Whether somebody owns the event. Nobody's event places no order; who gives money back makes no difference.
    pub owned: bool,
}

/// What the lines of a product come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product<'a> {
    /// Product id.
    pub id: &'a str,
    /// Of each line the quantity times the price, added up; nothing where no line states a price.
    pub amount: Amount,
}

/// What happened to the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was placed.
    Placed,
    /// Money was given back.
    Refunded,
    /// It was cancelled: all that is left is given back.
    Cancelled,
}

/// An order, counted once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Place in the claims of the one that counts: the first that was placed.
    pub winner: usize,
    /// What was given back, by time; never nothing, together never more than the total.
    pub refunds: Vec<Refund>,
    /// What is left of it.
    pub ledger: Ledger,
}

/// Money given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Place in the claims of the one that gives it back.
    pub claim: usize,
    /// How much.
    pub amount: Amount,
    /// How much of it for each of the winner's products.
    pub products: Vec<Amount>,
}

/// What is left of an order behind the last of its claims: a claim that comes after it can be counted without the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The last claim that was counted.
    pub last: Place,
    /// Whether one of the claims cancels the order.
    pub cancelled: bool,
    /// Total before refunds.
    pub total: Amount,
    left: Amount,
    /// What was given back of each product.
    given: Vec<Amount>,
}

impl Ledger {
    /// Before any refund.
    fn of(placed: &Claim<'_>) -> Self {
        let total = placed.amount.unwrap_or(Amount::ZERO);
        Self {
            last: placed.place(),
            cancelled: false,
            total,
            left: total.max(Amount::ZERO),
            given: vec![Amount::ZERO; placed.products.len()],
        }
    }

    /// All that was given back.
    #[must_use]
    pub fn refunded(&self) -> Amount {
        self.total.max(Amount::ZERO) - self.left
    }

    /// Counts a claim that comes behind all others of the order, of which those are the products: what it gives back, and of
    /// which product.
    pub fn count(
        &mut self,
        claim: &Claim<'_>,
        products: &[Product<'_>],
    ) -> Option<(Amount, Vec<Amount>)> {
        self.last = claim.place();
        let wanted = match claim.kind {
            Kind::Placed => return None,
            // Tills send what is given back with either sign.
            Kind::Refunded => claim.amount.map_or(self.left, Amount::abs),
            Kind::Cancelled => {
                self.cancelled = true;
                self.left
            }
        };
        let amount = wanted.min(self.left);
        self.left -= amount;
        let back = self.give_back(amount, claim.products, products);
        let is_something = !amount.is_zero() || back.iter().any(|amount| !amount.is_zero());
        is_something.then_some((amount, back))
    }

    /// Gives back what the lines of a refund name, or where they come to nothing each product's share of the amount, but no
    /// more than it came to, of a discount no more than it took; all that is left of each once nothing is left of the order.
    fn give_back(
        &mut self,
        amount: Amount,
        named: &[Product<'_>],
        products: &[Product<'_>],
    ) -> Vec<Amount> {
        let names_some = named.iter().any(|product| !product.amount.is_zero());
        let each = products.iter().zip(&mut self.given);
        each.map(|(product, given)| {
            let most = product.amount.abs();
            let line = named.iter().find(|line| line.id == product.id);
            let asked = match line {
                _ if !names_some => most.share(amount, self.total),
                Some(line) => line.amount.abs(),
                None => Amount::ZERO,
            };
            let until = match (given.abs() + asked).min(most) {
                _ if self.left.is_zero() => product.amount,
                until if product.amount < Amount::ZERO => -until,
                until => until,
            };
            until - std::mem::replace(given, until)
        })
        .collect()
    }
}

impl Claim<'_> {
    /// Where it stands among the claims of its order.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            occurred_at: self.occurred_at,
            message_id: self.message_id.into(),
            timeline: (self.timeline.0.into(), self.timeline.1.into()),
        }
    }

    /// Whether it makes an order.
    #[must_use]
    pub fn places(&self) -> bool {
        self.kind == Kind::Placed && self.owned
    }
}

/// The order that these claims make, if one of them places it. A function of the set: the order of the slice does not
/// matter, and a claim that is in it twice counts once.
#[must_use]
pub fn decide(claims: &[Claim<'_>]) -> Option<Order> {
    let mut first_to_last: Vec<usize> = (0..claims.len()).collect();
    let place = |claim: &usize| {
        let claim = &claims[*claim];
        (claim.occurred_at, claim.message_id, claim.timeline)
    };
    first_to_last.sort_by_key(place);
    first_to_last.dedup_by_key(|claim| place(claim));
    let winner = *first_to_last
        .iter()
        .find(|claim| claims[**claim].places())?;
    let placed = &claims[winner];
    let mut ledger = Ledger::of(placed);
    let mut refunds = Vec::new();
    for claim in first_to_last {
        if let Some((amount, products)) = ledger.count(&claims[claim], placed.products) {
            refunds.push(Refund {
                claim,
                amount,
                products,
            });
        }
    }
    Some(Order {
        winner,
        refunds,
        ledger,
    })
}

/// What of an order's amount is each product's: in proportion to what they come to, and together all of it. None where
/// they come to nothing. Products that come to less than nothing, as discounts do, have no part.
#[must_use]
pub fn share_out(amount: Amount, products: &[Product<'_>]) -> Option<Vec<Amount>> {
    let parts = products
        .iter()
        .map(|product| product.amount.max(Amount::ZERO));
    let whole: Amount = parts.clone().sum();
    if whole.is_zero() {
        return None;
    }
    let (mut until, mut shared) = (Amount::ZERO, Amount::ZERO);
    let shares = parts.map(|part| {
        until += part;
        let before = std::mem::replace(&mut shared, amount.share(until, whole));
        shared - before
    });
    Some(shares.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claim(kind: Kind, at: i64, message_id: &str, amount: Option<i64>) -> Claim<'_> {
        Claim {
            kind,
            occurred_at: Timestamp(at),
            message_id,
            timeline: ("anonymous_id", "c1"),
            amount: amount.map(Amount::from_units),
            products: &[],
            owned: true,
        }
    }

    fn refunds(claims: &[Claim<'_>]) -> Vec<(i64, i64)> {
        let order = decide(claims).expect("an order");
        let units = |amount: Amount| (amount.millionths() / 1_000_000) as i64;
        order
            .refunds
            .iter()
            .map(|refund| (claims[refund.claim].occurred_at.0, units(refund.amount)))
            .collect()
    }

    #[test]
    fn the_first_placed_claim_by_time_then_message_then_timeline_counts() {
        let early = claim(Kind::Placed, 1, "b", Some(10));
        let late = claim(Kind::Placed, 2, "a", Some(20));
        let same_time = claim(Kind::Placed, 1, "a", Some(30));
        let same_message = Claim {
            timeline: ("anonymous_id", "c0"),
            ..same_time
        };
        for (claims, total) in [(vec![early, late], 10), (vec![late, early, same_time], 30)] {
            assert_eq!(
                decide(&claims).expect("an order").ledger.total,
                Amount::from_units(total)
            );
        }
        assert_eq!(
            decide(&[same_time, same_message]).expect("an order").winner,
            1
        );
    }

    #[test]
    fn what_nobody_owns_places_no_order() {
        let nobodys = Claim {
            owned: false,
            ..claim(Kind::Placed, 1, "a", Some(10))
        };
        assert_eq!(decide(&[nobodys]), None);
        let order = decide(&[nobodys, claim(Kind::Placed, 2, "b", Some(20))]).expect("an order");
        assert_eq!(order.ledger.total, Amount::from_units(20));
    }

    #[test]
    fn refunds_wait_for_their_order_and_take_no_more_than_is_left() {
        let placed = claim(Kind::Placed, 5, "order", Some(100));
        assert_eq!(
            decide(&[claim(Kind::Refunded, 6, "r", Some(10))]),
            None,
            "unknown"
        );
        for (name, others, expected) in [
            (
                "one",
                vec![claim(Kind::Refunded, 6, "r", Some(30))],
                vec![(6, 30)],
            ),
            (
                "of negative sign",
                vec![claim(Kind::Refunded, 6, "r", Some(-30))],
                vec![(6, 30)],
            ),
            (
                "before the order's time",
                vec![claim(Kind::Refunded, 1, "r", Some(30))],
                vec![(1, 30)],
            ),
            (
                "too much",
                vec![
                    claim(Kind::Refunded, 6, "r", Some(70)),
                    claim(Kind::Refunded, 7, "s", Some(70)),
                ],
                vec![(6, 70), (7, 30)],
            ),
            (
                "without amount",
                vec![
                    claim(Kind::Refunded, 6, "r", Some(30)),
                    claim(Kind::Refunded, 7, "s", None),
                ],
                vec![(6, 30), (7, 70)],
            ),
            (
                "cancelled",
                vec![
                    claim(Kind::Cancelled, 7, "c", None),
                    claim(Kind::Refunded, 6, "r", Some(30)),
                ],
                vec![(6, 30), (7, 70)],
            ),
            (
                "after the cancellation",
                vec![
                    claim(Kind::Cancelled, 6, "c", None),
                    claim(Kind::Refunded, 7, "r", Some(30)),
                ],
                vec![(6, 100)],
            ),
            (
                "of nothing",
                vec![claim(Kind::Refunded, 6, "r", Some(0))],
                vec![],
            ),
        ] {
            let claims: Vec<_> = std::iter::once(placed).chain(others).collect();
            assert_eq!(refunds(&claims), expected, "{name}");
        }
        assert!(
            decide(&[placed, claim(Kind::Cancelled, 7, "c", None)])
                .expect("an order")
                .ledger
                .cancelled
        );
    }

    const fn product(id: &str, units: i64) -> Product<'_> {
        Product {
            id,
            amount: Amount::from_units(units),
        }
    }

    #[test]
    fn a_refund_gives_back_the_lines_it_names_or_else_of_each_product_its_share() {
        const LINES: [Product<'static>; 3] =
            [product("a", 60), product("b", 30), product("gift", -5)];
        // A till turns the signs of all it takes back.
        const A_AND_DISCOUNT: [Product<'static>; 2] = [product("a", -30), product("gift", 2)];
        const TWO_OF_A: [Product<'static>; 1] = [product("a", 40)];
        const NO_PRICE: [Product<'static>; 1] = [product("a", 0)];
        const UNKNOWN: [Product<'static>; 1] = [product("z", 40)];
        let placed = |total| Claim {
            products: &LINES,
            ..claim(Kind::Placed, 1, "order", Some(total))
        };
        let of = |at, amount, products| Claim {
            products,
            ..claim(Kind::Refunded, at, "r", amount)
        };
        let cancelled = claim(Kind::Cancelled, 9, "c", None);
        for (name, total, others, expected) in [
            (
                "in proportion",
                120,
                vec![of(2, Some(48), &[])],
                vec![[24, 12, -2]],
            ),
            (
                "a discount that goes with its product",
                120,
                vec![
                    of(2, Some(28), &A_AND_DISCOUNT),
                    of(3, Some(1), &A_AND_DISCOUNT),
                ],
                vec![[30, 0, -2], [30, 0, -2]],
            ),
            (
                "by its lines",
                120,
                vec![of(2, Some(40), &TWO_OF_A)],
                vec![[40, 0, 0]],
            ),
            (
                "lines without price",
                120,
                vec![of(2, Some(48), &NO_PRICE)],
                vec![[24, 12, -2]],
            ),
            (
                "a product that was not ordered",
                120,
                vec![of(2, Some(40), &UNKNOWN)],
                vec![[0, 0, 0]],
            ),
            (
                "no more than there was",
                120,
                vec![of(2, Some(40), &TWO_OF_A), of(3, Some(40), &TWO_OF_A)],
                vec![[40, 0, 0], [20, 0, 0]],
            ),
            (
                "all that is left with the last of the order",
                120,
                vec![of(2, Some(40), &TWO_OF_A), cancelled],
                vec![[40, 0, 0], [20, 30, -5]],
            ),
            (
                "of an order that states no total",
                0,
                vec![cancelled],
                vec![[60, 30, -5]],
            ),
            (
                "after all is given back",
                120,
                vec![of(2, None, &[]), cancelled],
                vec![[60, 30, -5]],
            ),
        ] {
            let claims: Vec<_> = std::iter::once(placed(total)).chain(others).collect();
            let given: Vec<Vec<i128>> = decide(&claims)
                .expect("an order")
                .refunds
                .iter()
                .map(|refund| {
                    refund
                        .products
                        .iter()
                        .map(|a| a.millionths() / 1_000_000)
                        .collect()
                })
                .collect();
            assert_eq!(given, expected, "{name}");
        }
    }

    #[test]
    fn a_margin_is_shared_out_to_the_last_millionth() {
        let thirds = [
            product("a", 1),
            product("b", 1),
            product("c", 1),
            product("gift", -9),
        ];
        let shares = share_out(Amount::from_units(1), &thirds).expect("shares");
        let shares: Vec<i128> = shares.into_iter().map(Amount::millionths).collect();
        assert_eq!(shares, [333_333, 333_333, 333_334, 0]);
        assert_eq!(
            share_out(Amount::from_units(1), &[product("gift", -9)]),
            None
        );
    }

    fn any_products() -> impl Strategy<Value = &'static [Product<'static>]> {
        const SETS: [&[Product<'static>]; 4] = [
            &[],
            &[product("a", 7)],
            &[product("a", 5), product("b", 11)],
            &[product("b", -3), product("c", 20)],
        ];
        prop::sample::select(SETS.to_vec())
    }

    fn any_claim() -> impl Strategy<Value = Claim<'static>> {
        let kind = prop_oneof![3 => Just(Kind::Placed), 2 => Just(Kind::Refunded), 1 => Just(Kind::Cancelled)];
        let message = prop::sample::select(vec!["a", "b", "c", "d", "e"]);
        let timeline = prop::sample::select(vec![("anonymous_id", "c1"), ("user_id", "u1")]);
        (
            kind,
            0..4_i64,
            message,
            timeline,
            prop::option::of(-50..50_i64),
            any_products(),
            any::<bool>(),
        )
            .prop_map(
                |(kind, at, message_id, timeline, amount, products, owned)| Claim {
                    kind,
                    occurred_at: Timestamp(at),
                    message_id,
                    timeline,
                    amount: amount.map(Amount::from_units),
                    products,
                    owned,
                },
            )
    }

    /// A set: a message determines its content.
    fn claim_sets() -> impl Strategy<Value = Vec<Claim<'static>>> {
        prop::collection::vec(any_claim(), 0..8).prop_map(|mut claims| {
            claims.sort_by_key(|claim| (claim.message_id, claim.timeline));
            claims.dedup_by_key(|claim| (claim.message_id, claim.timeline));
            claims
        })
    }

    proptest! {
        #[test]
        fn any_order_and_duplication_of_the_claims_gives_the_same_order(
            (claims, shuffled) in claim_sets().prop_flat_map(|claims| {
                let twice: Vec<_> = claims.iter().chain(&claims).copied().collect();
                (Just(claims), Just(twice).prop_shuffle())
            })
        ) {
            let of = |claims: &[Claim<'static>]| decide(claims).map(|order| {
                let refunds = order.refunds.into_iter();
                let refunds: Vec<_> = refunds
                    .map(|refund| (claims[refund.claim], refund.amount, refund.products))
                    .collect();
                (claims[order.winner], refunds, order.ledger)
            });
            prop_assert_eq!(of(&claims), of(&shuffled));
        }

        #[test]
        fn what_comes_behind_all_others_is_counted_without_them(claims in claim_sets(), cut in 0..8_usize) {
            let mut claims = claims;
            claims.sort_by_key(Claim::place);
            let begun = decide(&claims[..cut.min(claims.len())]);
            if let Some(Order { winner, mut refunds, mut ledger }) = begun {
                for (number, claim) in claims.iter().enumerate().skip(cut) {
                    let back = ledger.count(claim, claims[winner].products);
                    refunds.extend(back.map(|(amount, products)| Refund { claim: number, amount, products }));
                }
                prop_assert_eq!(Some(Order { winner, refunds, ledger }), decide(&claims));
            }
        }

        #[test]
        fn no_more_is_refunded_than_was_paid(claims in claim_sets()) {
            if let Some(order) = decide(&claims) {
                let ledger = order.ledger;
                let refunded: Amount = order.refunds.iter().map(|refund| refund.amount).sum();
                prop_assert_eq!(refunded, ledger.refunded());
                prop_assert!(refunded <= ledger.total.max(Amount::ZERO));
                prop_assert!(order.refunds.iter().all(|refund| refund.amount >= Amount::ZERO));
                if ledger.cancelled {
                    prop_assert_eq!(refunded, ledger.total.max(Amount::ZERO));
                }
                for (place, product) in claims[order.winner].products.iter().enumerate() {
                    let back: Amount = order.refunds.iter().map(|refund| refund.products[place]).sum();
                    if ledger.cancelled {
                        prop_assert_eq!(back, product.amount);
                    } else if product.amount >= Amount::ZERO {
                        prop_assert!((Amount::ZERO..=product.amount).contains(&back));
                    }
                }
            }
        }
    }
}
