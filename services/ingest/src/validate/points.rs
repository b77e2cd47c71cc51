//! Loyalty points: `Loyalty Points Earned`, `Loyalty Points Redeemed` and `Loyalty Points Expired` say in
//! `properties.points` how many; the event's name says in which direction, so either sign will do.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::strict;
use crate::refusal::{Reason, Refusal};

/// Refuses an event of points that does not say how many.
pub(super) fn check(event: &str, properties: &str) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    struct Stated<'a> {
        #[serde(borrow, default)]
        points: Option<&'a RawValue>,
    }
    let is_of_points = matches!(
        event,
        "Loyalty Points Earned" | "Loyalty Points Redeemed" | "Loyalty Points Expired"
    );
    if !is_of_points {
        return Ok(());
    }
    let field = || "properties.points".into();
    let points = match properties {
        "" => None,
        properties => {
            let stated: Stated<'_> = serde_json::from_str(properties).map_err(|_| {
                Refusal::invalid("properties", "cannot be read: no field may stand twice")
            })?;
            strict::amount(stated.points, field)?
        }
    };
    match points {
        Some(_) => Ok(()),
        None => Err(Refusal::new(
            Reason::MissingField,
            field(),
            "is missing: say how many points, such as 120",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_a_number_of_either_sign() {
        for (event, properties, refused) in [
            ("Loyalty Points Earned", r#"{"points":120}"#, None),
            ("Loyalty Points Redeemed", r#"{"points":"-50.5"}"#, None),
            ("Loyalty Points Expired", "", Some("properties.points")),
            (
                "Loyalty Points Expired",
                r#"{"points":null}"#,
                Some("properties.points"),
            ),
            (
                "Loyalty Points Earned",
                r#"{"points":"many"}"#,
                Some("properties.points"),
            ),
            (
                "Loyalty Points Earned",
                r#"{"points":1e40}"#,
                Some("properties.points"),
            ),
            (
                "Loyalty Points Earned",
                r#"{"points":1,"points":2}"#,
                Some("properties"),
            ),
            ("Points", "", None),
        ] {
            let refusal = check(event, properties).err();
            let field = refusal.as_ref().map(|refusal| &*refusal.field);
            assert_eq!(field, refused, "{event} {properties}");
        }
    }
}
