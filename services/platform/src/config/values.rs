//! Values that TOML has no type for: durations, secrets, retention by window.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What stands in the place of a secret wherever one is printed.
pub const HIDDEN: &str = "(hidden)";

/// A write key or password: readable through [`Secret::expose`] only, so that it reaches no log.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { HIDDEN }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Serde's own message would quote the value that is not a string.
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string in quotes")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Secret, E> {
                Ok(Secret::new(value))
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom("expected a string in quotes, found a number"))
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(E::custom("expected a string in quotes, found a number"))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// librdkafka properties; those that hold secrets are hidden when printed.
#[derive(Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// All of them, secrets included, for the client's configuration.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    fn shown(&self) -> BTreeMap<&str, &str> {
        const SECRET: [&str; 5] = ["password", "secret", "pem", "token", "config"];
        self.iter()
            .map(
                |(key, value)| match SECRET.iter().any(|word| key.contains(word)) {
                    true => (key, HIDDEN),
                    false => (key, value),
                },
            )
            .collect()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}

/// Windows of rolling KPIs, by the names they have in `kpis_current`.
pub const WINDOWS: [&str; 6] = ["1h", "24h", "7d", "30d", "90d", "365d"];

/// How long the marks of each window are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    by_window: BTreeMap<String, Duration>,
    others: Duration,
}

impl Keep {
    /// One duration for all windows.
    pub fn all(duration: Duration) -> Self {
        Keep {
            by_window: BTreeMap::new(),
            others: duration,
        }
    }

    /// How long marks of the window with this name (`24h`) are kept.
    pub fn window(&self, name: &str) -> Duration {
        self.by_window.get(name).copied().unwrap_or(self.others)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a duration such as \"40y\", or a table of durations by window"
        )]
        enum Form {
            One(String),
            ByWindow(BTreeMap<String, String>),
        }
        let parse = |text: &str| parse_duration(text).map_err(de::Error::custom);
        match Form::deserialize(deserializer)? {
            Form::One(text) => Ok(Keep::all(parse(&text)?)),
            Form::ByWindow(mut texts) => {
                let others = texts.remove("others").ok_or_else(|| {
                    de::Error::custom("`others` is missing: add others = \"13mo\"")
                })?;
                if let Some(unknown) = texts.keys().find(|name| !WINDOWS.contains(&name.as_str())) {
                    let known = WINDOWS.join(", ");
                    return Err(de::Error::custom(format!(
                        "unknown window `{unknown}`: use {known} or others"
                    )));
                }
                let by_window = texts
                    .iter()
                    .map(|(name, text)| Ok((name.clone(), parse(text)?)))
                    .collect::<Result<_, D::Error>>()?;
                Ok(Keep {
                    by_window,
                    others: parse(&others)?,
                })
            }
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.by_window.is_empty() {
            return serializer.serialize_str(&format_duration(self.others));
        }
        let mut texts: BTreeMap<&str, String> = self
            .by_window
            .iter()
            .map(|(name, duration)| (name.as_str(), format_duration(*duration)))
            .collect();
        texts.insert("others", format_duration(self.others));
        texts.serialize(serializer)
    }
}

/// Units by falling size; a year is 365.25 days and a month the twelfth of it, in milliseconds.
const UNITS: [(&str, u64); 8] = [
    ("y", 31_557_600_000),
    ("mo", 2_629_800_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads `250ms`, `5s`, `30m`, `8h`, `8d`, `2w`, `13mo` or `40y`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is no duration: write a whole number and ms, s, m, h, d, w, mo or y, such as \"30s\""
        )
    };
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let (_, millis) = UNITS
        .iter()
        .find(|(name, _)| *name == unit.trim())
        .ok_or_else(wrong)?;
    number
        .checked_mul(*millis)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// Writes a duration in the largest unit that holds it exactly; weeks are written as days.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .filter(|(name, _)| *name != "w")
        .find(|(_, unit)| millis.is_multiple_of(*unit))
        .map(|(name, unit)| format!("{}{name}", millis / unit))
        .expect("a millisecond divides every whole number of them")
}

/// Durations as strings.
pub(super) mod duration {
    use super::{format_duration, parse_duration};
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::time::Duration;

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*value))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
