//! Money spent on advertising: a source's `Spend Reported` says in `properties` the `amount` and its `currency`, and in
//! `context.campaign` for which campaign.

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_contracts::wire::Subject;

use super::{order, strict};
use crate::refusal::{Reason, Refusal};

/// Refuses an event of spend that does not say how much, in what, or that it speaks of its source.
pub(super) fn check(event: &str, subject: Subject, properties: &str) -> Result<(), Refusal> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Stated<'a> {
        #[serde(borrow)]
        amount: Option<&'a RawValue>,
        #[serde(borrow)]
        currency: Option<&'a RawValue>,
    }
    const AMOUNT: &str = "properties.amount";
    if event != "Spend Reported" {
        return Ok(());
    }
    let why = "must be \"source\": no customer spends the budget for advertising";
    strict::of_source(subject, why)?;
    let stated: Stated<'_> = serde_json::from_str(strict::members(properties))
        .map_err(|_| Refusal::invalid("properties", "cannot be read: no field may stand twice"))?;
    let amount = strict::amount(stated.amount, || AMOUNT.into())?;
    if order::not_negative(amount, AMOUNT)?.is_none() {
        return Err(Refusal::missing(
            AMOUNT,
            "is missing: say how much was spent, such as 250.00",
        ));
    }
    if order::currency(stated.currency)?.is_empty() {
        return Err(Refusal::new(
            Reason::MissingField,
            "properties.currency",
            "is missing: send a code of ISO 4217 such as \"EUR\"",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spend_says_how_much_in_what_and_of_whom() {
        for (subject, properties, refused) in [
            (
                Subject::Source,
                r#"{"amount":250.5,"currency":"eur"}"#,
                None,
            ),
            (Subject::Source, r#"{"amount":"0","currency":"USD"}"#, None),
            (
                Subject::Customer,
                r#"{"amount":1,"currency":"EUR"}"#,
                Some("context.subject"),
            ),
            (Subject::Source, "", Some("properties.amount")),
            (
                Subject::Source,
                r#"{"amount":-1,"currency":"EUR"}"#,
                Some("properties.amount"),
            ),
            (
                Subject::Source,
                r#"{"amount":1}"#,
                Some("properties.currency"),
            ),
            (
                Subject::Source,
                r#"{"amount":1,"currency":"euro"}"#,
                Some("properties.currency"),
            ),
            (
                Subject::Source,
                r#"{"amount":1,"amount":2}"#,
                Some("properties"),
            ),
        ] {
            let refusal = check("Spend Reported", subject, properties).err();
            let field = refusal.as_ref().map(|refusal| &*refusal.field);
            assert_eq!(field, refused, "{properties}");
        }
        assert_eq!(check("Spent", Subject::Customer, ""), Ok(()));
    }
}
