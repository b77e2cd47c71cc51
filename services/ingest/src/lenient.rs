//! Reads JSON as people send it: a number where a text belongs is its digits, another shape is nothing at all.
//!
//! For fields on which nothing depends but a column. What identifies, dates or prices an event is read strictly in
//! `validate`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A text, or a number as its digits; empty where there is neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// The text of a JSON string, or of a number its digits as sent: an id of more than a double holds stays the same id. None of
/// another shape.
pub(crate) fn text(json: &str) -> Option<serde_json::Result<Cow<'_, str>>> {
    match json.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            Some(Ok(Cow::Borrowed(&json[1..json.len() - 1])))
        }
        [b'"', ..] => Some(serde_json::from_str(json).map(Cow::Owned)),
        [b'-' | b'0'..=b'9', ..] => Some(Ok(Cow::Borrowed(json))),
        _ => None,
    }
}

/// An object read as `T`; `T`'s default where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object<T>(pub(crate) T);

impl<T> Deref for Object<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A list of objects; those that are none are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What a visitor of one shape makes of every other shape: its default, with the input consumed.
macro_rules! otherwise_default {
    (scalars) => {
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (none) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (list) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (object) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let text = text(json).transpose().map_err(D::Error::custom)?;
        Ok(Self(text.unwrap_or_default()))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Visit<T> {
            type Value = Object<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(object)).map(Object)
            }
            otherwise_default!(scalars);
            otherwise_default!(none);
            otherwise_default!(list);
        }
        deserializer.deserialize_any(Visit(PhantomData))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Visit<T> {
            type Value = List<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of objects")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut objects = Vec::new();
                while let Some(Object(object)) = list.next_element()? {
                    objects.push(object);
                }
                Ok(List(objects))
            }
            otherwise_default!(scalars);
            otherwise_default!(none);
            otherwise_default!(object);
        }
        deserializer.deserialize_any(Visit(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample<'a> {
        #[serde(borrow)]
        text: Text<'a>,
        #[serde(borrow)]
        object: Object<Inner<'a>>,
        #[serde(borrow)]
        list: List<Inner<'a>>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner<'a> {
        #[serde(borrow)]
        id: Text<'a>,
    }

    #[test]
    fn every_shape_is_read_or_left_out_but_never_an_error() {
        for (shape, text) in [
            (r#""a""#, "a"),
            (r#""a\nb""#, "a\nb"),
            ("12", "12"),
            ("-3", "-3"),
            ("1.50", "1.50"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("true", ""),
            ("null", ""),
            ("[1,[2]]", ""),
            (r#"{"id":"a","x":{}}"#, ""),
        ] {
            let json =
                format!(r#"{{"text":{shape},"object":{shape},"list":{shape},"other":{shape}}}"#);
            let sample: Sample<'_> =
                serde_json::from_str(&json).unwrap_or_else(|error| panic!("{shape}: {error}"));
            assert_eq!(&*sample.text, text, "{shape}");
            assert_eq!(
                &*sample.object.id,
                if shape.starts_with('{') { "a" } else { "" },
                "{shape}"
            );
        }
        let sample: Sample<'_> =
            serde_json::from_str(r#"{"list":[{"id":1},7,{"id":"b"}]}"#).unwrap();
        let ids: Vec<&str> = sample.list.0.iter().map(|inner| &*inner.id).collect();
        assert_eq!(ids, ["1", "", "b"]);
    }
}
