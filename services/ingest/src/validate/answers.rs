//! Answers to questions.
//!
//! A track event `Survey Answered` holds them in `properties.answers`, a list of objects, or is itself one, with the
//! same fields in `properties`:
//!
//! ```json
//! {"question_id": "q1", "wording": "How likely ...?", "kind": "touchpoint", "aspect": "nps", "scale": "0-10",
//!  "value": 9, "comment": "Fast!", "product": "p1", "touchpoint": "delivery"}
//! ```
//!
//! `touchpoint` names what was experienced, as the brand calls it: `delivery`, `checkout`, `call`. `kind` is `touchpoint` (the
//! default) or `relation`; `scale` is `0-10`, `1-10`, `1-5` or `yes-no`, by default that of the aspect (`nps` 0-10, `csat` and
//! `ces` 1-5). `Product Reviewed` of Segment's specification has the same, of aspect `csat` unless another is stated: its
//! `rating` is the value, its `review_body` the comment.
//!
//! What `properties` states beside a list of the question, the product, the touchpoint and the kind is of all answers in it that
//! do not state it themselves; with a value of its own, it is an answer before them. An answer off its scale is refused with its
//! event.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::money::Amount;

use super::{LONGEST_NAME, strict};
use crate::lenient::Text;
use crate::refusal::{Reason, Refusal};

/// An answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) question_id: Cow<'a, str>,
    pub(crate) wording: Cow<'a, str>,
    pub(crate) kind: &'static str,
    pub(crate) aspect: Cow<'a, str>,
    pub(crate) scale: &'static str,
    /// Absent for a comment alone.
    pub(crate) value: Option<Amount>,
    pub(crate) comment: Cow<'a, str>,
    pub(crate) product: Cow<'a, str>,
    pub(crate) touchpoint: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stated<'a> {
    #[serde(borrow)]
    question_id: Text<'a>,
    #[serde(borrow)]
    wording: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    aspect: Text<'a>,
    #[serde(borrow)]
    scale: Text<'a>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    rating: Option<&'a RawValue>,
    #[serde(borrow)]
    comment: Text<'a>,
    #[serde(borrow)]
    review_body: Text<'a>,
    #[serde(borrow)]
    product: Text<'a>,
    #[serde(borrow)]
    product_id: Text<'a>,
    #[serde(borrow)]
    touchpoint: Text<'a>,
    /// The list, beside what its answers share.
    #[serde(borrow)]
    answers: Option<&'a RawValue>,
}

impl<'a> Stated<'a> {
    /// With what all answers of its event share, where it does not state it itself.
    fn sharing(mut self, shared: &Self) -> Self {
        let own_product = !(self.product.is_empty() && self.product_id.is_empty());
        for (own, shared) in [
            (&mut self.question_id, &shared.question_id),
            (&mut self.touchpoint, &shared.touchpoint),
            (&mut self.kind, &shared.kind),
        ] {
            if own.is_empty() {
                *own = shared.clone();
            }
        }
        if !own_product {
            self.product = shared.product.clone();
            self.product_id = shared.product_id.clone();
        }
        self
    }
}

/// How many answers an event may have.
const MOST: usize = 50;

/// Reads the answers of an event; none where it is no event of answers.
pub(super) fn answers<'a>(event: &str, properties: &'a str) -> Result<Vec<Answer<'a>>, Refusal> {
    if properties.is_empty() {
        return Ok(Vec::new());
    }
    let aspect = match event {
        "Survey Answered" => "",
        "Product Reviewed" => "csat",
        _ => return Ok(Vec::new()),
    };
    let own: Stated<'a> = serde_json::from_str(properties)
        .map_err(|_| Refusal::invalid("properties", "cannot be read: no field may stand twice"))?;
    let Some(list) = own.answers else {
        return own_answer(own, aspect).map(|answer| vec![answer]);
    };
    let listed: Vec<Stated<'a>> = serde_json::from_str(list.get()).map_err(|_| {
        Refusal::invalid(
            "properties.answers",
            "must be a list of objects, each with its fields once",
        )
    })?;
    if listed.len() > MOST {
        return Err(Refusal::new(
            Reason::InvalidAnswer,
            "properties.answers",
            "must have at most 50 answers: send more events",
        ));
    }
    let each = |(index, stated): (usize, Stated<'a>)| {
        answer(stated.sharing(&own), aspect, |name| {
            format!("properties.answers[{index}].{name}").into()
        })
    };
    let mut answers: Vec<Answer<'a>> = listed
        .into_iter()
        .enumerate()
        .map(each)
        .collect::<Result<_, _>>()?;
    if own.value.is_some() || own.rating.is_some() {
        answers.insert(0, own_answer(own, aspect)?);
    }
    Ok(answers)
}

fn own_answer<'a>(stated: Stated<'a>, aspect: &'static str) -> Result<Answer<'a>, Refusal> {
    answer(stated, aspect, |name| format!("properties.{name}").into())
}

fn answer<'a>(
    stated: Stated<'a>,
    aspect: &'static str,
    field: impl Fn(&str) -> Cow<'static, str>,
) -> Result<Answer<'a>, Refusal> {
    let refusal = |name: &str, message| Refusal::new(Reason::InvalidAnswer, field(name), message);
    let kind = match stated.kind.trim() {
        "" | "touchpoint" => "touchpoint",
        "relation" => "relation",
        _ => return Err(refusal("kind", "must be \"touchpoint\" or \"relation\"")),
    };
    let known = ["nps", "csat", "ces"];
    let known = known
        .iter()
        .find(|known| known.eq_ignore_ascii_case(stated.aspect.trim()));
    let aspect = match known {
        Some(known) => Cow::Borrowed(*known),
        None if stated.aspect.is_empty() => Cow::Borrowed(aspect),
        None => stated.aspect.0,
    };
    let scale = match (stated.scale.trim(), &*aspect) {
        ("0-10", _) | ("", "nps") => "0-10",
        ("1-10", _) => "1-10",
        ("1-5", _) | ("", "csat" | "ces") => "1-5",
        ("yes-no", _) => "yes-no",
        ("", _) => "",
        _ => {
            return Err(refusal(
                "scale",
                "must be \"0-10\", \"1-10\", \"1-5\" or \"yes-no\"",
            ));
        }
    };
    let name = if stated.value.is_none() && stated.rating.is_some() {
        "rating"
    } else {
        "value"
    };
    let raw = stated.value.or(stated.rating);
    let off_scale = || {
        let message = match scale {
            "yes-no" => "is off its scale: send yes or no",
            _ => "is off its scale: send a whole number on it",
        };
        refusal(name, message)
    };
    let value = match raw
        .map(RawValue::get)
        .and_then(yes_or_no)
        .filter(|_| scale == "yes-no")
    {
        Some(value) => Some(value),
        None => strict::amount(raw, || field(name)).map_err(|_| off_scale())?,
    };
    if let Some(value) = value {
        let fits = match scale {
            "0-10" => whole_between(value, 0, 10),
            "1-10" => whole_between(value, 1, 10),
            "1-5" => whole_between(value, 1, 5),
            "yes-no" => whole_between(value, 0, 1),
            _ => {
                return Err(refusal(
                    "scale",
                    "is missing: a value needs \"0-10\", \"1-10\", \"1-5\" or \"yes-no\"",
                ));
            }
        };
        if !fits {
            return Err(off_scale());
        }
    }
    let comment = if stated.comment.is_empty() {
        stated.review_body.0
    } else {
        stated.comment.0
    };
    let product = if stated.product.is_empty() {
        stated.product_id.0
    } else {
        stated.product.0
    };
    let about = [
        ("question_id", &stated.question_id.0),
        ("product", &product),
        ("touchpoint", &stated.touchpoint.0),
    ];
    for (name, text) in about {
        if text.len() > LONGEST_NAME || text.contains('\0') {
            let message = "must have at most 512 bytes, and not hold the character NUL";
            return Err(refusal(name, message));
        }
    }
    Ok(Answer {
        question_id: stated.question_id.0,
        wording: stated.wording.0,
        kind,
        aspect,
        scale,
        value,
        comment,
        product,
        touchpoint: stated.touchpoint.0,
    })
}

fn yes_or_no(json: &str) -> Option<Amount> {
    let word = json.trim_matches('"');
    let is = |words: [&str; 2]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    match () {
        () if is(["yes", "true"]) => Some(Amount::from_units(1)),
        () if is(["no", "false"]) => Some(Amount::ZERO),
        () => None,
    }
}

fn whole_between(value: Amount, least: i64, most: i64) -> bool {
    (least..=most).any(|whole| Amount::from_units(whole) == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event: &str, properties: &str) -> Result<Vec<(String, String)>, String> {
        let answers = answers(event, properties).map_err(|refusal| refusal.field.into_owned())?;
        let shown = |a: &Answer<'_>| {
            (
                a.scale.to_owned(),
                a.value.map_or_else(String::new, |value| value.to_string()),
            )
        };
        Ok(answers.iter().map(shown).collect())
    }

    #[test]
    fn answers_are_read_on_their_scale_and_refused_off_it() {
        for (event, properties, expected) in [
            (
                "Survey Answered",
                r#"{"aspect":"nps","value":9}"#,
                Ok(vec![("0-10", "9")]),
            ),
            (
                "Survey Answered",
                r#"{"aspect":"nps","scale":"1-10","value":"10"}"#,
                Ok(vec![("1-10", "10")]),
            ),
            (
                "Survey Answered",
                r#"{"answers":[{"aspect":"ces","value":2},{"comment":"ok"}]}"#,
                Ok(vec![("1-5", "2"), ("", "")]),
            ),
            ("Survey Answered", r#"{"answers":[]}"#, Ok(vec![])),
            (
                "Survey Answered",
                r#"{"scale":"yes-no","value":"Yes"}"#,
                Ok(vec![("yes-no", "1")]),
            ),
            (
                "Survey Answered",
                r#"{"scale":"yes-no","value":false}"#,
                Ok(vec![("yes-no", "0")]),
            ),
            (
                "Product Reviewed",
                r#"{"rating":4,"review_body":"good"}"#,
                Ok(vec![("1-5", "4")]),
            ),
            (
                "Product Reviewed",
                r#"{"rating":3,"answers":[{"aspect":"NPS","value":9},{"value":2}]}"#,
                Ok(vec![("1-5", "3"), ("0-10", "9"), ("1-5", "2")]),
            ),
            (
                "Product Reviewed",
                r#"{"rating":3,"answers":[{"rating":6}]}"#,
                Err("properties.answers[0].rating"),
            ),
            (
                "Order Completed",
                r#"{"aspect":"nps","value":99}"#,
                Ok(vec![]),
            ),
            ("Survey Answered", "", Ok(vec![])),
            (
                "Survey Answered",
                r#"{"aspect":"nps","value":11}"#,
                Err("properties.value"),
            ),
            (
                "Survey Answered",
                r#"{"scale":"1-10","value":0}"#,
                Err("properties.value"),
            ),
            (
                "Survey Answered",
                r#"{"scale":"1-5","value":4.5}"#,
                Err("properties.value"),
            ),
            (
                "Survey Answered",
                r#"{"answers":[{"value":1}]}"#,
                Err("properties.answers[0].scale"),
            ),
            (
                "Survey Answered",
                r#"{"scale":"1-7","value":1}"#,
                Err("properties.scale"),
            ),
            ("Survey Answered", r#"{"kind":"x"}"#, Err("properties.kind")),
            (
                "Survey Answered",
                r#"{"answers":7}"#,
                Err("properties.answers"),
            ),
            (
                "Product Reviewed",
                r#"{"rating":"great"}"#,
                Err("properties.rating"),
            ),
        ] {
            let expected = expected.map_err(str::to_owned);
            let expected = expected.map(|list| {
                list.into_iter()
                    .map(|(a, b)| (a.to_owned(), b.to_owned()))
                    .collect()
            });
            assert_eq!(read(event, properties), expected, "{event} {properties}");
        }
    }

    #[test]
    fn what_would_not_fit_is_refused_by_its_field() {
        let long = "a".repeat(513);
        let many = format!("[{}]", vec!["{}"; 51].join(","));
        for (properties, field) in [
            (
                format!(r#"{{"question_id":"{long}"}}"#),
                "properties.question_id",
            ),
            (format!(r#"{{"product":"{long}"}}"#), "properties.product"),
            (
                r#"{"touchpoint":"a\u0000b"}"#.to_owned(),
                "properties.touchpoint",
            ),
            (format!(r#"{{"answers":{many}}}"#), "properties.answers"),
            (
                format!(r#"{{"answers":[{{}},{{"touchpoint":"{long}"}}]}}"#),
                "properties.answers[1].touchpoint",
            ),
        ] {
            assert_eq!(read("Survey Answered", &properties), Err(field.to_owned()));
        }
        let fits = format!(r#"{{"answers":[{}]}}"#, vec!["{}"; 50].join(","));
        assert_eq!(
            read("Survey Answered", &fits).map(|answers| answers.len()),
            Ok(50)
        );
    }

    #[test]
    fn a_note_that_is_no_number_is_off_its_scale() {
        for (value, fix) in [("eight", "a whole number on it"), ("oui", "yes or no")] {
            let scale = if value == "oui" { "yes-no" } else { "0-10" };
            let properties = format!(r#"{{"aspect":"nps","scale":"{scale}","value":"{value}"}}"#);
            let refusal = answers("Survey Answered", &properties).expect_err(value);
            assert_eq!(refusal.reason, Reason::InvalidAnswer, "{value}");
            assert!(refusal.message.contains(fix), "{}", refusal.message);
        }
    }

    #[test]
    fn a_comment_and_what_it_is_about_are_kept() {
        let found = answers(
            "Product Reviewed",
            r#"{"rating":5,"review_body":"Great","product_id":"p","touchpoint":"delivery"}"#,
        )
        .unwrap();
        let about = (&*found[0].product, &*found[0].touchpoint);
        assert_eq!(
            (&*found[0].comment, about, &*found[0].aspect),
            ("Great", ("p", "delivery"), "csat")
        );
    }

    #[test]
    fn answers_of_a_list_share_what_stands_beside_it() {
        let found = answers(
            "Survey Answered",
            r#"{"touchpoint":"delivery","question_id":"q","product_id":"p","answers":[{"aspect":"nps","value":9},{"comment":"x","touchpoint":"call","product":"r"}]}"#,
        )
        .unwrap();
        let about = found.iter().map(|answer| {
            let texts = [&answer.touchpoint, &answer.question_id, &answer.product];
            texts.map(|text| text.to_string())
        });
        let about: Vec<[String; 3]> = about.collect();
        assert_eq!(about, [["delivery", "q", "p"], ["call", "q", "r"]]);
    }
}
