//! Phone numbers as E.164.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use phonenumber::{Mode, country};

/// The country of numbers that come without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Region(Option<country::Id>);

impl Region {
    /// By ISO 3166 code; none where it is empty or unknown.
    pub(crate) fn named(code: &str) -> Self {
        Self(code.parse().ok())
    }
}

/// Parsing costs tens of microseconds and mobile SDKs send the same number with every event.
const CACHED: usize = 1024;

thread_local! {
    static CACHE: RefCell<HashMap<(Region, Box<str>), Option<Box<str>>>> = RefCell::default();
}

/// The number as E.164; nothing where it cannot be told, as for a national number without a region.
pub(crate) fn e164(text: &str, region: Region) -> Option<Cow<'static, str>> {
    CACHE.with_borrow_mut(|cache| {
        let key = (region, Box::from(text));
        if let Some(known) = cache.get(&key) {
            return known.as_deref().map(|number| Cow::Owned(number.to_owned()));
        }
        let number = parse(text, region);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(key, number.as_deref().map(Box::from));
        number.map(Cow::Owned)
    })
}

fn parse(text: &str, region: Region) -> Option<String> {
    // The longest number has 15 digits; the parser's regular expressions are not for essays.
    if text.len() > 64 {
        return None;
    }
    let number = phonenumber::parse(region.0, text).ok()?;
    Some(number.format().mode(Mode::E164).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_e164_where_their_country_is_known() {
        for (text, region, number) in [
            ("+33 6 12 34 56 78", "", Some("+33612345678")),
            ("+33 (0)6 12 34 56 78", "", Some("+33612345678")),
            ("06 12 34 56 78", "FR", Some("+33612345678")),
            ("0612345678", "FR", Some("+33612345678")),
            ("0033 6 12 34 56 78", "FR", Some("+33612345678")),
            ("(415) 555-2671", "US", Some("+14155552671")),
            ("+44 20 7946 0958", "FR", Some("+442079460958")),
            ("0612345678", "", None),
            ("call me", "FR", None),
            ("+", "FR", None),
            ("", "FR", None),
        ] {
            assert_eq!(
                e164(text, Region::named(region)).as_deref(),
                number,
                "{text} in {region:?}"
            );
            assert_eq!(
                e164(text, Region::named(region)).as_deref(),
                number,
                "{text} in {region:?}, the second time"
            );
        }
    }
}
