//! The profile itself.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::money::Amount;
use crate::time::Timestamp;

use crate::identifier::IdentifierType;
use crate::kpi::minute_of;

use super::answers::{Answers, Aspect};
use super::atom::{Atom, Facets, Identifier, Moment, Note, Order, Refund, Said, Stated, said};
use super::contributions::{
    Contributions, Definitions, Sign, contribute_amounts, each_changed, recognise,
};
use super::distinct::{Distinct, Known};
use super::reports::Reports;
use super::standing::{Acquaintance, Standing};
use super::traits::{Chosen, Statements, Told};

/// A multiset.
pub(super) type Counted<T> = BTreeMap<T, u32>;

/// A customer, folded from atoms. What is folded is kept in multisets, so that it can be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    distinct: Distinct,
    standing: Standing,
    reports: Reports,
    emails: Emails,
    mentions: i64,
    /// Event times of the first passive touchpoints of atoms.
    reached: Counted<Timestamp>,
    answers: Answers,
    points: Amount,
    started: Counted<Timestamp>,
    /// The minutes at which sessions began, by what their first touchpoints hold.
    begun: BTreeMap<Begun, Counted<i64>>,
    ended: Counted<Timestamp>,
    sessions: i64,
    touchpoints: i64,
    orders: i64,
    /// By currency.
    spending: BTreeMap<Box<str>, Spending>,
    /// Rank, type, value, whether it names a person.
    identifiers: Counted<(u8, Box<str>, Box<str>, bool)>,
    traits: BTreeMap<Box<str>, Statements>,
    /// How many statements there are of traits, consents and groups, each as often as atoms make it.
    statements: usize,
    /// By purpose.
    consents: BTreeMap<Box<str>, Counted<Decided>>,
    groups: BTreeMap<Box<str>, Counted<Told>>,
}

/// A decision on a purpose; the greatest stands: the latest, of those at one time a refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Decided {
    occurred_at: Timestamp,
    refused: bool,
    told: Told,
}

/// Owned [`Facets`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Begun {
    channel: Box<str>,
    source: Box<str>,
    campaign: Box<str>,
    device_type: Box<str>,
    store: Box<str>,
}

impl Begun {
    fn of(facets: &Facets<'_>) -> Self {
        Self {
            channel: facets.channel.into(),
            source: facets.source.into(),
            campaign: facets.campaign.into(),
            device_type: facets.device_type.into(),
            store: facets.store.into(),
        }
    }

    fn facets(&self) -> Facets<'_> {
        Facets {
            channel: &self.channel,
            source: &self.source,
            campaign: &self.campaign,
            device_type: &self.device_type,
            store: &self.store,
        }
    }
}

/// What a customer decided on a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent<'a> {
    /// What for.
    pub purpose: &'a str,
    /// Whether it is agreed to.
    pub granted: bool,
    /// When that was decided last.
    pub occurred_at: Timestamp,
    /// By which source.
    pub source: &'a str,
}

/// Orders in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// How many.
    pub orders: i64,
    /// Their totals before refunds.
    pub total: Amount,
    /// Their totals less refunds.
    pub revenue: Amount,
    /// The margins that they state.
    pub margin: Amount,
}

/// E-mails that it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Emails {
    /// All of them.
    pub sent: i64,
    /// Those that did not come back.
    pub delivered: i64,
    /// Those that were opened, or a link in them followed.
    pub opened: i64,
    /// Those in which a link was followed.
    pub clicked: i64,
    /// Those upon which it wanted no more.
    pub unsubscribed: i64,
}

impl Fold {
    /// Replaces an atom's state by another; none stands for an atom that is not there. What follows for the profile as a
    /// whole is contributed by [`tell`](Self::tell), after some atoms.
    pub fn replace(
        &mut self,
        before: Option<&Atom<'_>>,
        after: Option<&Atom<'_>>,
        definitions: &Definitions,
        contributions: &mut impl Contributions,
    ) {
        let is_person = self.distinct.is_person();
        contribute_amounts(before, after, definitions, is_person, contributions);
        self.distinct
            .replace(before, after, &definitions.goals, contributions);
        self.standing.replace(before, after, contributions);
        if let Some(atom) = before {
            self.count(atom, -1, definitions);
        }
        if let Some(atom) = after {
            self.count(atom, 1, definitions);
        }
        self.restate(before, after, definitions);
        self.hear(before, after, contributions);
    }

    /// Contributes what follows from the atoms for the profile as a whole, where that is otherwise than last told: what it
    /// counts for as a person, and what it is as a customer.
    pub fn tell(&mut self, definitions: &Definitions, contributions: &mut impl Contributions) {
        let of = |r#type: IdentifierType| {
            let held = self.identifiers.keys();
            held.filter(|(rank, ..)| *rank == r#type.0).count() as i64
        };
        let known = Known {
            is_person: self.identifiers().any(|identifier| identifier.is_person),
            devices: of(IdentifierType::DEVICE_ID),
            cookies: of(IdentifierType::ANONYMOUS_ID),
        };
        let first = |counted: &Counted<Timestamp>| {
            counted.first_key_value().map(|(time, _)| minute_of(*time))
        };
        let (visited, reached) = (first(&self.started), first(&self.reached));
        let acquaintance = Acquaintance {
            met: visited.into_iter().chain(reached).min(),
            visited,
            lead: self.distinct.first_lead(),
            has_address: of(IdentifierType::EMAIL) + of(IdentifierType::PHONE) > 0,
        };
        // A terminal's answers are of no customer.
        let is_somebody = self.is_somebody();
        let attitudes = self.answers.attitudes(is_somebody, definitions);
        self.standing
            .tell(&acquaintance, attitudes, definitions, contributions);
        let sign = match (self.distinct.is_person(), known.is_person) {
            (false, true) => Some(Sign::Add),
            (true, false) => Some(Sign::Retract),
            _ => None,
        };
        self.distinct.know(known, contributions);
        let Some(sign) = sign else { return };
        for (begun, minutes) in &self.begun {
            let minutes = minutes.iter().map(|(minute, count)| (*minute, *count));
            recognise(begun.facets(), minutes, sign, contributions);
        }
    }

    /// Whether it holds anything of a customer: what a source says of itself is of none.
    #[must_use]
    pub fn is_somebody(&self) -> bool {
        !self.identifiers.is_empty() || self.touchpoints > 0 || self.orders > 0
    }

    /// Loyalty points: earned less redeemed and expired.
    #[must_use]
    pub const fn points(&self) -> Amount {
        self.points
    }

    /// The last note of an aspect, when it was given, and the comment with it.
    #[must_use]
    pub fn last_note(&self, aspect: Aspect) -> Option<(Timestamp, Note, &str)> {
        self.answers.last(aspect)
    }

    /// Identifiers, highest first.
    pub fn identifiers(&self) -> impl Iterator<Item = Identifier<'_>> {
        self.identifiers
            .keys()
            .map(|(_, r#type, value, is_person)| Identifier {
                r#type,
                value,
                is_person: *is_person,
            })
    }

    /// Traits by name, each as its rule chooses it.
    pub fn traits(&self) -> impl Iterator<Item = Chosen<'_>> {
        self.traits
            .iter()
            .filter_map(|(name, stated)| stated.chosen(name))
    }

    /// Decisions by purpose, the latest of each.
    pub fn consents(&self) -> impl Iterator<Item = Consent<'_>> {
        self.consents.iter().filter_map(|(purpose, decided)| {
            let (last, _) = decided.last_key_value()?;
            Some(Consent {
                purpose,
                granted: !last.refused,
                occurred_at: last.occurred_at,
                source: &last.told.source,
            })
        })
    }

    /// Groups that it belongs to, sorted.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(|group| &**group)
    }

    /// Its last few statuses in the lifecycle, those to come too, each with the time from which on it holds.
    pub fn statuses(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        self.standing.statuses()
    }

    /// The same of its quadrants of attitude and repeat purchase.
    pub fn quadrants(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        self.standing.quadrants()
    }

    /// Event time of the first active touchpoint.
    #[must_use]
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.started.first_key_value().map(|(time, _)| *time)
    }

    /// Event time of the last active touchpoint.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.ended.last_key_value().map(|(time, _)| *time)
    }

    /// Sessions.
    #[must_use]
    pub const fn sessions(&self) -> i64 {
        self.sessions
    }

    /// Touchpoints, active and passive.
    #[must_use]
    pub const fn touchpoints(&self) -> i64 {
        self.touchpoints
    }

    /// Orders.
    #[must_use]
    pub const fn orders(&self) -> i64 {
        self.orders
    }

    /// What its orders come to, by currency.
    pub fn spending(&self) -> impl Iterator<Item = (&str, Spending)> {
        // Refunds may come before their orders.
        let ordered = self.spending.iter().filter(|(_, all)| all.orders != 0);
        ordered.map(|(currency, spending)| (&**currency, *spending))
    }

    /// Time of the first order.
    #[must_use]
    pub fn first_order(&self) -> Option<Timestamp> {
        self.standing.first_order()
    }

    /// Time of the last order.
    #[must_use]
    pub fn last_order(&self) -> Option<Timestamp> {
        self.standing.last_order()
    }

    /// E-mails that it was sent, and what became of them.
    #[must_use]
    pub const fn emails(&self) -> Emails {
        self.emails
    }

    /// How often it spoke of the brand on social networks.
    #[must_use]
    pub const fn mentions(&self) -> i64 {
        self.mentions
    }

    /// Channels of active touchpoints, sorted.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.distinct.channels()
    }

    /// About how many entries it holds: what it costs in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.distinct.minutes()
            + self.standing.weight()
            + self.reports.weight()
            + self.answers.len()
            + self.reached.len()
            + 2 * self.started.len()
            + self.ended.len()
            + self.identifiers.len()
            + self.statements
    }

    fn count(&mut self, atom: &Atom<'_>, sign: i64, definitions: &Definitions) {
        match atom {
            Atom::Session(session) => {
                self.sessions += sign;
                self.touchpoints += sign * session.touchpoints;
                change(&mut self.started, session.started_at, sign);
                let begun = Begun::of(&session.facets);
                let minute = minute_of(session.started_at);
                change_of(&mut self.begun, begun, minute, sign);
                change(&mut self.ended, session.ended_at, sign);
            }
            Atom::Passive(passive) => {
                self.touchpoints += sign * passive.touchpoints;
                change(&mut self.reached, passive.first_seen, sign);
            }
            Atom::Part(_) | Atom::Source(_) => {}
            Atom::Email(email) => {
                let outcome = email.outcome;
                let opened = outcome.is_opened(definitions.prefetched_opens);
                let emails = &mut self.emails;
                for (count, is) in [
                    (&mut emails.sent, true),
                    (&mut emails.delivered, outcome.delivered),
                    (&mut emails.opened, opened),
                    (&mut emails.clicked, outcome.clicked),
                    (&mut emails.unsubscribed, outcome.unsubscribed),
                ] {
                    *count += sign * i64::from(is);
                }
            }
            Atom::Order(order) => {
                self.orders += sign;
                self.earn(order, sign);
            }
            Atom::Refund(refund) => self.give_back(refund, sign),
            Atom::Identifier(identifier) => {
                let (rank, r#type, value) = identifier.rank();
                change(
                    &mut self.identifiers,
                    (rank, r#type.into(), value.into(), identifier.is_person),
                    sign,
                );
            }
        }
    }

    fn earn(&mut self, order: &Order<'_>, sign: i64) {
        if order.currency.is_empty() {
            return;
        }
        let signed = |amount: Amount| if sign > 0 { amount } else { -amount };
        let spending = self.spending.entry(order.currency.into()).or_default();
        spending.orders += sign;
        spending.total += signed(order.total);
        spending.revenue += signed(order.total);
        spending.margin += signed(order.margin.unwrap_or(Amount::ZERO));
        if *spending == Spending::default() {
            self.spending.remove(order.currency);
        }
    }

    fn give_back(&mut self, refund: &Refund<'_>, sign: i64) {
        if refund.currency.is_empty() {
            return;
        }
        let spending = self.spending.entry(refund.currency.into()).or_default();
        match sign > 0 {
            true => spending.revenue -= refund.amount,
            false => spending.revenue += refund.amount,
        }
        if *spending == Spending::default() {
            self.spending.remove(refund.currency);
        }
    }

    /// Replaces what was said at moments.
    fn hear(
        &mut self,
        before: Option<&Atom<'_>>,
        after: Option<&Atom<'_>>,
        contributions: &mut impl Contributions,
    ) {
        let ((before, was), (after, is)) = (said(before), said(after));
        let mut told = |moment: &Moment<'_>, timeline, sign| {
            self.told(moment, timeline, sign, contributions);
        };
        if was == is {
            each_changed(before, after, |moment, sign| told(moment, is, sign));
        } else {
            each_changed(before, &[], |moment, sign| told(moment, was, sign));
            each_changed(&[], after, |moment, sign| told(moment, is, sign));
        }
    }

    fn told(
        &mut self,
        moment: &Moment<'_>,
        timeline: (&str, &str),
        sign: Sign,
        contributions: &mut impl Contributions,
    ) {
        match &moment.said {
            Said::Answer(answer) => {
                let Some(note) = answer.note else { return };
                let place = (moment.occurred_at, moment.message_id, timeline);
                let said = (answer.number, answer.comment);
                self.answers.change(note, said, place, sign);
            }
            Said::Points(points) => {
                let points = Amount::from_millionths(sign.of_amount(points.millionths()));
                self.points += points;
            }
            Said::Mention(_) => self.mentions += sign.of_amount(1) as i64,
            Said::Report(report) => {
                let place = (moment.occurred_at, moment.message_id, timeline);
                self.reports.change(report, place, sign, contributions);
            }
            Said::Lead(_) | Said::Spend(..) => {}
        }
    }

    fn restate(
        &mut self,
        before: Option<&Atom<'_>>,
        after: Option<&Atom<'_>>,
        definitions: &Definitions,
    ) {
        let (before, after) = (before.and_then(stated), after.and_then(stated));
        if before == after {
            return;
        }
        for (stated, sign) in [(before, -1), (after, 1)] {
            let Some((timeline, stated)) = stated else {
                continue;
            };
            let statements = stated.traits.len() + stated.consents.len() + stated.groups.len();
            match sign < 0 {
                true => self.statements -= statements,
                false => self.statements += statements,
            }
            for stated in &stated.traits {
                let rules = &definitions.traits;
                let all = self
                    .traits
                    .entry(stated.name.into())
                    .or_insert_with(|| Statements::of(stated.name, rules));
                all.change(stated, timeline, sign, rules);
                if all.is_empty() {
                    self.traits.remove(stated.name);
                }
            }
            for stated in &stated.consents {
                let decided = Decided {
                    occurred_at: stated.occurred_at,
                    refused: stated.value != "true",
                    told: Told::last(stated, timeline),
                };
                change_of(&mut self.consents, stated.name.into(), decided, sign);
            }
            for stated in &stated.groups {
                let told = Told::last(stated, timeline);
                change_of(&mut self.groups, stated.name.into(), told, sign);
            }
        }
    }
}

/// What an atom states, and the timeline it is filed under.
fn stated<'a, 'b>(atom: &'b Atom<'a>) -> Option<((&'a str, &'a str), &'b Stated<'a>)> {
    match atom {
        Atom::Session(session) => Some((session.timeline, &session.stated)),
        Atom::Part(part) => Some((part.timeline, &part.stated)),
        Atom::Passive(passive) => Some((passive.timeline, &passive.stated)),
        Atom::Order(_)
        | Atom::Refund(_)
        | Atom::Identifier(_)
        | Atom::Source(_)
        | Atom::Email(_) => None,
    }
}

fn change_of<N: Ord, T: Ord>(all: &mut BTreeMap<N, Counted<T>>, name: N, key: T, sign: i64) {
    match all.entry(name) {
        Entry::Occupied(mut of_name) => {
            change(of_name.get_mut(), key, sign);
            if of_name.get().is_empty() {
                of_name.remove();
            }
        }
        Entry::Vacant(new) if sign > 0 => {
            new.insert(BTreeMap::from([(key, 1)]));
        }
        Entry::Vacant(_) => {}
    }
}

pub(super) fn change<T: Ord>(counted: &mut Counted<T>, key: T, sign: i64) {
    if sign > 0 {
        *counted.entry(key).or_default() += 1;
    } else if let Some(count) = counted.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counted.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
