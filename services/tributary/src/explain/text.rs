//! The answer, for people.

use super::answer::{Answer, Explained, Identity, Link, Refusal, Session};
use super::between::Between;
use crate::identity::log;
use std::fmt::Write as _;

/// What `tributary explain` prints.
pub(super) fn text(answer: &Answer) -> String {
    let mut text = answer
        .profiles
        .iter()
        .map(profile)
        .collect::<Vec<_>>()
        .join("\n");
    if answer.more_profiles > 0 {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            text,
            "\nand {} more customers, which are not shown",
            answer.more_profiles
        );
    }
    text
}

fn profile(explained: &Explained) -> String {
    let mut text = format!(
        "customer {} of workspace {}\n",
        explained.profile_id, explained.workspace
    );
    match &explained.profile {
        None => text += "  nothing is counted for this customer: it only holds identifiers\n",
        Some(profile) => {
            let revenue: Vec<String> = profile
                .revenue
                .iter()
                .map(|(currency, amount)| format!("{amount} {currency}"))
                .collect();
            let revenue = if revenue.is_empty() {
                "none".to_owned()
            } else {
                revenue.join(", ")
            };
            let _ = writeln!(
                text,
                "  {}, {}, {}; revenue {revenue}",
                plural(profile.sessions, "session"),
                plural(profile.touchpoints, "touchpoint"),
                plural(profile.orders, "order"),
            );
            if let (Some(first), Some(last)) = (&profile.first_seen, &profile.last_seen) {
                let _ = writeln!(
                    text,
                    "  seen from {} to {} on {}",
                    short(first),
                    short(last),
                    profile.channels.join(", ")
                );
            }
            if profile.traits.get() != "{}" {
                let _ = writeln!(text, "  traits {}", profile.traits.get());
            }
        }
    }
    if let Some(version) = explained.rules_version {
        let _ = writeln!(text, "  decided under version {version} of the rules");
    }
    section(&mut text, "identifiers", &explained.identifiers, identity);
    section(
        &mut text,
        "links: seen together on an event",
        &explained.links,
        link,
    );
    section(
        &mut text,
        "refused: links that join nobody",
        &explained.refusals,
        refusal,
    );
    section(
        &mut text,
        "entries of operators",
        &explained.entries,
        log::line,
    );
    section(&mut text, "latest sessions", &explained.sessions, session);
    text
}

fn section<T>(text: &mut String, title: &str, items: &[T], line: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "  {title}");
    for item in items {
        let _ = writeln!(text, "    {}", line(item));
    }
}

fn identity(identity: &Identity) -> String {
    let mut text = format!("{}:{}", identity.identifier_type, identity.identifier_value);
    if !identity.always {
        let _ = write!(
            text,
            " from {} to {}",
            short(&identity.valid_from),
            short(&identity.valid_to)
        );
    }
    if let Some(by) = &identity.brought_by {
        let _ = write!(text, ", by its link to {}", by.linked_to);
        if !by.message_id.is_empty() {
            let _ = write!(text, " (message {})", by.message_id);
        }
    }
    text
}

fn link(link: &Link) -> String {
    let mut text = format!(
        "{}:{} - {}:{}",
        link.higher_type, link.higher_value, link.lower_type, link.lower_value,
    );
    if link.first_message_id.is_empty() {
        text.push_str(", never seen together");
    } else {
        let _ = write!(
            text,
            ", first at {} on message {}, last on {}, by {}",
            short(&link.first_seen),
            link.first_message_id,
            link.last_day,
            link.sources.join(", "),
        );
    }
    if link.standing != "joins" {
        let _ = write!(text, " ({})", link.standing);
    }
    text
}

/// What `tributary explain --between` prints.
pub(super) fn between(between: &Between) -> String {
    let [one, other] = &between.ends;
    let mut text = if between.same {
        format!(
            "{} and {} are one customer, {} of workspace {}\n",
            one.text(),
            other.text(),
            one.profile_id,
            between.workspace
        )
    } else {
        format!(
            "{} and {} are two customers of workspace {}: {} and {}\n",
            one.text(),
            other.text(),
            between.workspace,
            one.profile_id,
            other.profile_id
        )
    };
    match (between.same, between.links.is_empty()) {
        (true, true) => {}
        (true, false) => section(
            &mut text,
            "the shortest way from one to the other",
            &between.links,
            link,
        ),
        (false, true) => text.push_str("  they were never seen together\n"),
        (false, false) => section(
            &mut text,
            "they were seen together, but that does not join them",
            &between.links,
            link,
        ),
    }
    text
}

fn refusal(refusal: &Refusal) -> String {
    format!(
        "{}:{} - {}:{}: {}",
        refusal.higher_type,
        refusal.higher_value,
        refusal.lower_type,
        refusal.lower_value,
        refusal.reason
    )
}

fn session(session: &Session) -> String {
    let mut text = format!(
        "{} to {}, {} on {}",
        short(&session.started_at),
        short(&session.ended_at),
        plural(session.touchpoints, "touchpoint"),
        session.timeline
    );
    for (name, value) in [
        ("channel", &session.channel),
        ("from", &session.traffic_source),
        ("campaign", &session.campaign),
    ] {
        if !value.is_empty() {
            let _ = write!(text, ", {name} {value}");
        }
    }
    text
}

fn plural(number: i64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Without the milliseconds.
fn short(moment: &str) -> &str {
    moment
        .split_once('.')
        .map_or(moment, |(seconds, _)| seconds)
}

#[cfg(test)]
mod tests {
    use super::super::answer::{BroughtBy, Profile};
    use super::*;
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    #[test]
    fn a_customer_reads_well() {
        let owned = str::to_owned;
        let answer = Answer {
            profiles: vec![Explained {
                workspace: owned("default"),
                profile_id: owned("6fa459ea-ee8a-3ca4-894e-db77e160355e"),
                rules_version: Some(2),
                profile: Some(Profile {
                    first_seen: Some(owned("2026-11-01 10:00:00.000")),
                    last_seen: Some(owned("2026-11-02 10:00:00.000")),
                    sessions: 1,
                    touchpoints: 3,
                    orders: 2,
                    revenue: BTreeMap::from([(owned("EUR"), owned("80"))]),
                    channels: vec![owned("web")],
                    traits: RawValue::from_string(owned("{\"city\":\"Lyon\"}")).unwrap(),
                    gone: false,
                }),
                identifiers: vec![Identity {
                    identifier_type: owned("anonymous_id"),
                    identifier_value: owned("tablet"),
                    valid_from: owned("2026-11-01 10:00:00.000"),
                    valid_to: owned("2299-12-31 00:00:00.000"),
                    always: false,
                    brought_by: Some(BroughtBy {
                        linked_to: owned("user_id:ada"),
                        message_id: owned("m1"),
                        sources: vec![owned("web")],
                        first_seen: owned("2026-11-01 10:00:00.000"),
                    }),
                }],
                links: vec![Link {
                    higher_type: owned("user_id"),
                    higher_value: owned("ada"),
                    lower_type: owned("anonymous_id"),
                    lower_value: owned("tablet"),
                    first_seen: owned("2026-11-01 10:00:00.000"),
                    first_message_id: owned("m1"),
                    last_day: owned("2026-11-02"),
                    sources: vec![owned("web"), owned("app")],
                    standing: owned("refused: limit user_id"),
                    joins: false,
                }],
                entries: Vec::new(),
                refusals: Vec::new(),
                sessions: vec![Session {
                    session_id: owned("s"),
                    timeline: owned("anonymous_id:tablet"),
                    started_at: owned("2026-11-01 10:00:00.000"),
                    ended_at: owned("2026-11-01 10:05:00.000"),
                    touchpoints: 3,
                    channel: owned("web"),
                    traffic_source: String::new(),
                    campaign: owned("spring"),
                }],
            }],
            more_profiles: 0,
        };
        let expected = "\
customer 6fa459ea-ee8a-3ca4-894e-db77e160355e of workspace default
  1 session, 3 touchpoints, 2 orders; revenue 80 EUR
  seen from 2026-11-01 10:00:00 to 2026-11-02 10:00:00 on web
  traits {\"city\":\"Lyon\"}
  decided under version 2 of the rules
  identifiers
    anonymous_id:tablet from 2026-11-01 10:00:00 to 2299-12-31 00:00:00, by its link to user_id:ada (message m1)
  links: seen together on an event
    user_id:ada - anonymous_id:tablet, first at 2026-11-01 10:00:00 on message m1, last on 2026-11-02, by web, app (refused: limit user_id)
  latest sessions
    2026-11-01 10:00:00 to 2026-11-01 10:05:00, 3 touchpoints on anonymous_id:tablet, channel web, campaign spring
";
        assert_eq!(text(&answer), expected);
    }
}
