//! Distinct counts: the minutes at which a profile did something, by dimension and value.

use std::collections::BTreeMap;

use crate::kpi::{AtLeast, Dimension, Key, Kpi, Occurrences, Sum, Window, minute_of};

use super::atom::{Activity, Atom, Said, said};
use super::contributions::{Contributions, Difference, MILLION, PURCHASE};
use super::runs::Runs;

/// Every dimension up to the goal, by index.
const DIMENSIONS: usize = 7;

/// By dimension and value, the minutes of facts that make the profile count as one.
type Values = [BTreeMap<Box<str>, Occurrences>; DIMENSIONS];

/// All that distinct counts are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Distinct {
    active: Values,
    /// Goals: each in its own dimension, purchases in the others.
    reached: Values,
    /// Qualified leads.
    leads: Values,
    minutes: usize,
    /// What the profile counted for so far where it was active.
    known: Known,
}

/// What a profile counts for among the customers who are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Whether it holds a person identifier.
    pub(super) is_person: bool,
    /// Device ids.
    pub(super) devices: i64,
    /// Anonymous ids.
    pub(super) cookies: i64,
}

impl Known {
    /// What stands in the two KPIs wherever such a profile is active.
    fn sums(self) -> [(Kpi, Sum); 2] {
        let each = |number: i64| match self.is_person {
            true => Sum {
                numerator: i128::from(number) * MILLION,
                denominator: 1,
            },
            false => Sum::ZERO,
        };
        [
            (Kpi::DevicesPerCustomer, each(self.devices)),
            (Kpi::CookiesPerCustomer, each(self.cookies)),
        ]
    }
}

impl Distinct {
    /// Replaces an atom's state by another.
    pub(super) fn replace(
        &mut self,
        before: Option<&Atom<'_>>,
        after: Option<&Atom<'_>>,
        goals: &[Box<str>],
        contributions: &mut impl Contributions,
    ) {
        let [devices, cookies] = self.known.sums();
        let minutes = &mut self.minutes;
        move_minutes(
            &mut self.active,
            &[(Kpi::Visitors, Sum::ONE), devices, cookies],
            &active(before),
            &active(after),
            minutes,
            contributions,
        );
        move_minutes(
            &mut self.reached,
            &[(Kpi::ConversionRateProfiles, Sum::ONE)],
            &reached(before, goals),
            &reached(after, goals),
            minutes,
            contributions,
        );
        move_minutes(
            &mut self.leads,
            &[(Kpi::Leads, Sum::ONE)],
            &leads(before),
            &leads(after),
            minutes,
            contributions,
        );
    }

    /// Whether the profile counted as one of a person.
    pub(super) const fn is_person(&self) -> bool {
        self.known.is_person
    }

    /// Lets it count for what is known now, at all its active minutes.
    pub(super) fn know(&mut self, now: Known, contributions: &mut impl Contributions) {
        let before = std::mem::replace(&mut self.known, now);
        let changes = now.sums().into_iter().zip(before.sums());
        let changes: Vec<(Kpi, Sum)> = changes
            .map(|((kpi, mut sum), (_, before))| {
                sum += -before;
                (kpi, sum)
            })
            .filter(|(_, sum)| !sum.is_zero())
            .collect();
        if changes.is_empty() {
            return;
        }
        for (dimension, values) in Dimension::ALL.into_iter().zip(&self.active) {
            for (value, occurrences) in values {
                let mut ranges = Vec::new();
                occurrences.each_range(|window, from, to| ranges.push((window, from, to)));
                for (kpi, sum) in &changes {
                    let differences = ranges.iter();
                    let differences: Vec<Difference> = differences
                        .flat_map(|(window, from, to)| range(*window, *from, *to, *sum))
                        .collect();
                    let key = Key {
                        kpi: *kpi,
                        currency: "",
                        dimension,
                        value,
                    };
                    contributions.add(&key, &differences);
                }
            }
        }
    }

    /// The minute of the first qualified lead.
    pub(super) fn first_lead(&self) -> Option<i64> {
        self.leads[Dimension::Whole.index()].get("")?.first()
    }

    /// Channels of active touchpoints, sorted.
    pub(super) fn channels(&self) -> impl Iterator<Item = &str> {
        self.active[Dimension::Channel.index()]
            .keys()
            .map(|channel| &**channel)
    }

    /// How many minutes it holds, each as often as it stands under a value: what it costs in memory.
    pub(super) const fn minutes(&self) -> usize {
        self.minutes
    }
}

/// The minutes at which an atom touches each dimension's values.
type Touched<'a> = Vec<((Dimension, &'a str), Runs)>;

fn active<'a>(atom: Option<&Atom<'a>>) -> Touched<'a> {
    let Some(stay) = Stay::of(atom) else {
        return Vec::new();
    };
    stay.touched(|activity| Some(&activity.minutes))
}

/// The configured goals that are reached in a session, on whatever channel.
fn reached<'a>(atom: Option<&Atom<'a>>, goals: &[Box<str>]) -> Touched<'a> {
    let Some(stay) = Stay::of(atom) else {
        return Vec::new();
    };
    let mut names: Vec<&str> = stay
        .activity
        .iter()
        .flat_map(|activity| &activity.goals)
        .map(|(goal, _)| *goal)
        .filter(|goal| goals.iter().any(|configured| **configured == **goal))
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut all = Vec::new();
    for goal in names {
        let rows = stay.touched(|activity| {
            let mut reached = activity.goals.iter().filter(|(name, _)| *name == goal);
            reached.next().map(|(_, minutes)| minutes)
        });
        for (row, minutes) in rows {
            if row.0 == Dimension::Whole {
                all.push(((Dimension::Goal, goal), minutes.clone()));
            }
            if goal == PURCHASE {
                all.push((row, minutes));
            }
        }
    }
    all
}

/// Leads that are qualified, wherever they were made.
fn leads<'a>(atom: Option<&Atom<'a>>) -> Touched<'a> {
    let mut all: Touched<'a> = Vec::new();
    for moment in said(atom).0 {
        if moment.said != Said::Lead(true) {
            continue;
        }
        let minute = (minute_of(moment.occurred_at), 1);
        for row in moment.facets.rows() {
            match all.iter_mut().find(|(other, _)| *other == row) {
                Some((_, minutes)) => *minutes = Runs::of(minutes.iter().chain([minute])),
                None => all.push((row, Runs::of([minute]))),
            }
        }
    }
    all
}

/// Where a session was active, or a part of it.
struct Stay<'s, 'a> {
    source: &'a str,
    campaign: &'a str,
    activity: &'s [Activity<'a>],
}

impl<'s, 'a> Stay<'s, 'a> {
    fn of(atom: Option<&'s Atom<'a>>) -> Option<Self> {
        match atom? {
            Atom::Session(session) => Some(Self {
                source: session.facets.source,
                campaign: session.facets.campaign,
                activity: &session.activity,
            }),
            Atom::Part(part) => Some(Self {
                source: part.source,
                campaign: part.campaign,
                activity: &part.activity,
            }),
            _ => None,
        }
    }

    /// The minutes that `of` tells of each activity. Source and campaign are the session's at all its minutes; channel, store
    /// and device type are the touchpoints' own.
    fn touched(&self, of: impl Fn(&'s Activity<'a>) -> Option<&'s Runs>) -> Touched<'a> {
        let minutes: Vec<(&Activity<'a>, &Runs)> = self
            .activity
            .iter()
            .filter_map(|activity| Some((activity, of(activity)?)))
            .collect();
        let union = |included: &dyn Fn(&Activity<'_>) -> bool| {
            Runs::of(
                minutes
                    .iter()
                    .filter(|(activity, _)| included(activity))
                    .flat_map(|(_, minutes)| minutes.iter()),
            )
        };
        if minutes.is_empty() {
            return Vec::new();
        }
        let begun = [
            (Dimension::Source, self.source),
            (Dimension::Campaign, self.campaign),
        ];
        let begun = begun.into_iter().filter(|(_, value)| !value.is_empty());
        let all = union(&|_| true);
        let mut touched: Touched<'a> = [(Dimension::Whole, "")]
            .into_iter()
            .chain(begun)
            .map(|row| (row, all.clone()))
            .collect();
        for (activity, _) in &minutes {
            let own = [
                (Dimension::Channel, activity.channel),
                (Dimension::DeviceType, activity.device_type),
                (Dimension::Store, activity.store),
            ];
            for (dimension, value) in own {
                if value.is_empty() || touched.iter().any(|(row, _)| *row == (dimension, value)) {
                    continue;
                }
                let minutes = union(&|other| match dimension {
                    Dimension::Channel => other.channel == value,
                    Dimension::DeviceType => other.device_type == value,
                    _ => other.store == value,
                });
                touched.push(((dimension, value), minutes));
            }
        }
        touched
    }
}

fn move_minutes(
    distinct: &mut Values,
    counted: &[(Kpi, Sum)],
    before: &Touched<'_>,
    after: &Touched<'_>,
    minutes: &mut usize,
    contributions: &mut impl Contributions,
) {
    let nothing = Runs::default();
    let runs_of = |touched: &Touched<'_>, row: (Dimension, &str)| {
        touched.iter().position(|(other, _)| *other == row)
    };
    let pairs = before
        .iter()
        .map(|(row, runs)| {
            (
                *row,
                runs,
                runs_of(after, *row).map_or(&nothing, |index| &after[index].1),
            )
        })
        .chain(
            after
                .iter()
                .filter(|(row, _)| runs_of(before, *row).is_none())
                .map(|(row, runs)| (*row, &nothing, runs)),
        );
    let mut ranges = Vec::new();
    for ((dimension, value), old, new) in pairs {
        if old == new {
            continue;
        }
        let values = &mut distinct[dimension.index()];
        if !values.contains_key(value) {
            values.insert(value.into(), Occurrences::default());
        }
        let occurrences = values
            .get_mut(value)
            .expect("was inserted above where it was missing");
        *minutes -= occurrences.len();
        old.for_each_besides(new, |minute| {
            occurrences.remove(minute, |window, at_least, from, to| {
                if at_least == AtLeast::One {
                    ranges.push((window, to, from));
                }
            });
        });
        new.for_each_besides(old, |minute| {
            occurrences.insert(minute, |window, at_least, from, to| {
                if at_least == AtLeast::One {
                    ranges.push((window, from, to));
                }
            });
        });
        *minutes += occurrences.len();
        if occurrences.is_empty() {
            values.remove(value);
        }
        for (kpi, sum) in counted.iter().filter(|(_, sum)| !sum.is_zero()) {
            let key = Key {
                kpi: *kpi,
                currency: "",
                dimension,
                value,
            };
            let differences: Vec<Difference> = ranges
                .iter()
                .flat_map(|(window, from, to)| range(*window, *from, *to, *sum))
                .collect();
            contributions.add(&key, &differences);
        }
        ranges.clear();
    }
}

/// So much from one mark on, no longer from the other.
pub(super) fn range(window: Window, from: i64, to: i64, sum: Sum) -> [Difference; 2] {
    [(from, sum), (to, -sum)].map(|(mark, sum)| Difference {
        window: Some(window),
        mark,
        sum,
    })
}
