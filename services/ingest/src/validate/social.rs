//! Social networks: `Followers Reported` of an account and `Post Reported` of a post, by the source that counts them, and
//! `Brand Mentioned`, by whoever speaks of the brand.

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_contracts::wire::Subject;

use super::strict;
use crate::refusal::Refusal;

/// What one can say.
const SENTIMENTS: [&str; 3] = ["positive", "neutral", "negative"];

/// Refuses a report that does not say of what, or counts nothing, and a mention without a sentiment.
pub(super) fn check(event: &str, subject: Subject, properties: &str) -> Result<(), Refusal> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Stated<'a> {
        #[serde(borrow)]
        network: Option<&'a RawValue>,
        #[serde(borrow)]
        account: Option<&'a RawValue>,
        #[serde(borrow)]
        post_id: Option<&'a RawValue>,
        #[serde(borrow)]
        influencer: Option<&'a RawValue>,
        #[serde(borrow)]
        sentiment: Option<&'a RawValue>,
        #[serde(borrow)]
        followers: Option<&'a RawValue>,
        #[serde(borrow)]
        reach: Option<&'a RawValue>,
        #[serde(borrow)]
        impressions: Option<&'a RawValue>,
        #[serde(borrow)]
        likes: Option<&'a RawValue>,
        #[serde(borrow)]
        shares: Option<&'a RawValue>,
        #[serde(borrow)]
        comments: Option<&'a RawValue>,
        #[serde(borrow)]
        clicks: Option<&'a RawValue>,
    }
    let is_report = matches!(event, "Followers Reported" | "Post Reported");
    if !is_report && event != "Brand Mentioned" {
        return Ok(());
    }
    if is_report {
        let why = "must be \"source\": what a network counts is said by no customer";
        strict::of_source(subject, why)?;
    }
    let stated: Stated<'_> = serde_json::from_str(strict::members(properties))
        .map_err(|_| Refusal::invalid("properties", "cannot be read: no field may stand twice"))?;
    let network = name("properties.network", stated.network)?;
    let account = name("properties.account", stated.account)?;
    let post = name("properties.post_id", stated.post_id)?;
    name("properties.influencer", stated.influencer)?;
    let needs = |field: &'static str, is_there: bool, message: &'static str| match is_there {
        true => Ok(()),
        false => Err(Refusal::missing(field, message)),
    };
    match event {
        "Followers Reported" => {
            needs(
                "properties.network",
                network,
                "is missing: name the network",
            )?;
            needs(
                "properties.account",
                account,
                "is missing: name the account",
            )?;
            let followers = count("properties.followers", stated.followers)?;
            needs(
                "properties.followers",
                followers,
                "is missing: say how many follow the account",
            )
        }
        "Post Reported" => {
            needs("properties.post_id", post, "is missing: name the post")?;
            let mut counted = false;
            for (field, stated) in [
                ("properties.reach", stated.reach),
                ("properties.impressions", stated.impressions),
                ("properties.likes", stated.likes),
                ("properties.shares", stated.shares),
                ("properties.comments", stated.comments),
                ("properties.clicks", stated.clicks),
            ] {
                counted |= count(field, stated)?;
            }
            needs(
                "properties",
                counted,
                "count nothing: say at least one of reach, impressions, likes, shares, comments and clicks",
            )
        }
        _ => {
            const FIELD: &str = "properties.sentiment";
            const MESSAGE: &str = "must be one of positive, neutral and negative";
            let sentiment = stated
                .sentiment
                .filter(|sentiment| sentiment.get() != "null");
            let sentiment = sentiment.ok_or_else(|| Refusal::missing(FIELD, MESSAGE))?;
            match SENTIMENTS.contains(&&*strict::text(sentiment, FIELD)?) {
                true => Ok(()),
                false => Err(Refusal::invalid(FIELD, MESSAGE)),
            }
        }
    }
}

/// Whether there is a name, which must be one that can be part of a key.
fn name(field: &'static str, stated: Option<&RawValue>) -> Result<bool, Refusal> {
    Ok(strict::key(stated, field)?.is_some_and(|name| !name.is_empty()))
}

/// Whether there is a count, which must be one.
fn count(field: &'static str, stated: Option<&RawValue>) -> Result<bool, Refusal> {
    /// What a 64-bit sum of millionths of some posts can hold, and more people than there are.
    const MOST: u64 = 1_000_000_000_000;
    let Some(stated) = stated.filter(|stated| stated.get() != "null") else {
        return Ok(false);
    };
    match stated.get().parse::<u64>() {
        Ok(..=MOST) => Ok(true),
        _ => Err(Refusal::invalid(
            field,
            "must be a whole number from 0 to 1000000000000",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(event: &str, subject: Subject, properties: &str) -> Option<String> {
        let refusal = check(event, subject, properties).err();
        refusal.map(|refusal| refusal.field.into_owned())
    }

    #[test]
    fn a_report_says_of_what_and_how_many() {
        for (event, properties, field) in [
            (
                "Followers Reported",
                r#"{"network":"n","account":"a","followers":0}"#,
                None,
            ),
            (
                "Followers Reported",
                r#"{"account":"a","followers":1}"#,
                Some("properties.network"),
            ),
            (
                "Followers Reported",
                r#"{"network":"n","account":"","followers":1}"#,
                Some("properties.account"),
            ),
            (
                "Followers Reported",
                r#"{"network":"n","account":"a","followers":-1}"#,
                Some("properties.followers"),
            ),
            ("Post Reported", r#"{"post_id":"p","likes":3}"#, None),
            ("Post Reported", r#"{"post_id":"p"}"#, Some("properties")),
            ("Post Reported", "", Some("properties.post_id")),
            (
                "Post Reported",
                r#"{"post_id":"p","reach":1.5}"#,
                Some("properties.reach"),
            ),
            (
                "Post Reported",
                r#"{"post_id":7,"reach":1}"#,
                Some("properties.post_id"),
            ),
        ] {
            let refused = refused(event, Subject::Source, properties);
            assert_eq!(refused.as_deref(), field, "{event} {properties}");
        }
        let of_customer = refused(
            "Post Reported",
            Subject::Customer,
            r#"{"post_id":"p","likes":3}"#,
        );
        assert_eq!(of_customer.as_deref(), Some("context.subject"));
    }

    #[test]
    fn a_mention_has_a_sentiment() {
        for (properties, field) in [
            (r#"{"sentiment":"negative","network":"n"}"#, None),
            (r#"{"sentiment":"angry"}"#, Some("properties.sentiment")),
            (r#"{"sentiment":null}"#, Some("properties.sentiment")),
            ("", Some("properties.sentiment")),
        ] {
            let refused = refused("Brand Mentioned", Subject::Customer, properties);
            assert_eq!(refused.as_deref(), field, "{properties}");
        }
    }
}
