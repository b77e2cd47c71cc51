//! What is reported of a thing time and again, and of which only the last word counts: followers of an account, reach of a
//! post.

use std::collections::BTreeMap;

use crate::kpi::{Dimension, Key, Kpi, Sum, Window, minute_of};
use crate::time::Timestamp;

use super::atom::{Report, Social};
use super::contributions::{Contributions, Difference, MILLION, Sign};

/// All reports of a thing, each count apart: a report may state some and not others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reports([BTreeMap<Stated, u32>; COUNTS]);

/// Followers, reach, impressions, engagement.
const COUNTS: usize = 4;

/// A count as one message states it; the greatest is the latest. It stands as often as atoms hold it: while an event moves
/// from one to the other it is in both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stated {
    occurred_at: Timestamp,
    message_id: Box<str>,
    timeline: (Box<str>, Box<str>),
    count: i64,
    network: Box<str>,
    post: Box<str>,
    influencer: Box<str>,
}

impl Reports {
    /// Takes a report, or takes it back.
    pub(super) fn change(
        &mut self,
        report: &Report<'_>,
        (occurred_at, message_id, timeline): (Timestamp, &str, (&str, &str)),
        sign: Sign,
        contributions: &mut impl Contributions,
    ) {
        let counts = [
            report.followers,
            report.reach,
            report.impressions,
            report.engagement,
        ];
        for (number, count) in counts.into_iter().enumerate() {
            let Some(count) = count else { continue };
            let stated = Stated {
                occurred_at,
                message_id: message_id.into(),
                timeline: (timeline.0.into(), timeline.1.into()),
                count,
                network: report.social.network.into(),
                post: report.social.post.into(),
                influencer: report.social.influencer.into(),
            };
            let all = &mut self.0[number];
            let present = all.get(&stated).copied().unwrap_or(0);
            match (sign, present) {
                (Sign::Add, 1..) | (Sign::Retract, 2..) => {
                    let present = all.entry(stated).or_default();
                    match sign {
                        Sign::Add => *present += 1,
                        Sign::Retract => *present -= 1,
                    }
                    continue;
                }
                (Sign::Retract, 0) => continue,
                (Sign::Retract, 1) => {
                    all.remove(&stated);
                }
                (Sign::Add, 0) => {}
            }
            // Between its neighbours: what the one before it says no longer reaches the one after it.
            let before = all.range(..&stated).next_back().map(|(before, _)| before);
            let after = all.range(&stated..).next().map(|(after, _)| after);
            if let Some(before) = before {
                let sign = |is_told: bool| match (sign, is_told) {
                    (Sign::Add, true) | (Sign::Retract, false) => Sign::Add,
                    _ => Sign::Retract,
                };
                span(number, before, Some(&stated), sign(true), contributions);
                span(number, before, after, sign(false), contributions);
            }
            span(number, &stated, after, sign, contributions);
            if let Sign::Add = sign {
                all.insert(stated, 1);
            }
        }
    }

    /// About how many entries it holds: what it costs in memory.
    pub(super) fn weight(&self) -> usize {
        self.0.iter().map(|counts| 4 * counts.len()).sum()
    }
}

/// Contributes what a count stands for: followers until the next word of the account; what is said of a post as long as it
/// is the last word in the window.
fn span(
    number: usize,
    stated: &Stated,
    next: Option<&Stated>,
    sign: Sign,
    contributions: &mut impl Contributions,
) {
    let social = Social {
        network: &stated.network,
        post: &stated.post,
        influencer: &stated.influencer,
    };
    let minute = |stated: &Stated| minute_of(stated.occurred_at);
    let mut differences = Vec::new();
    let numerator = Sum {
        numerator: i128::from(stated.count) * MILLION,
        denominator: 0,
    };
    let mut told = |kpi: Kpi, sum: Sum, only: Option<Dimension>| {
        differences.clear();
        for window in Window::ALL {
            let from = window.mark_of_minute(minute(stated));
            let next = next.map(|next| window.mark_of_minute(minute(next)));
            let until = match kpi {
                Kpi::SocialFollowers => next,
                _ => {
                    let leaves = from + window.marks();
                    Some(next.map_or(leaves, |next| next.min(leaves)))
                }
            };
            if until.is_some_and(|until| until <= from) {
                continue;
            }
            let mut step = |mark, sum| {
                differences.push(Difference {
                    window: Some(window),
                    mark,
                    sum: sign.of(sum),
                });
            };
            step(from, sum);
            if let Some(until) = until {
                step(until, -sum);
            }
        }
        for (dimension, value) in social.rows() {
            if only.is_some_and(|only| only != dimension) {
                continue;
            }
            let key = Key {
                kpi,
                currency: "",
                dimension,
                value,
            };
            contributions.add(&key, &differences);
        }
    };
    let of_post = Some(Dimension::Post);
    match number {
        0 => told(Kpi::SocialFollowers, numerator, None),
        // Who saw two posts is one person: reach is never added.
        1 => {
            told(Kpi::SocialReach, numerator, of_post);
            let denominator = Sum {
                numerator: 0,
                denominator: stated.count,
            };
            told(Kpi::SocialEngagementRate, denominator, of_post);
        }
        2 => told(Kpi::SocialImpressions, numerator, None),
        _ => {
            told(Kpi::SocialEngagement, numerator, None);
            told(Kpi::SocialEngagementRate, numerator, of_post);
        }
    }
}
