//! `RowBinary`: values one after the other, little-endian, without names. What each function appends is what the
//! engine reads for the type that it is named after.

use tributary_core::money::Amount;
use tributary_core::time::Timestamp;
use uuid::Uuid;

use crate::json;

/// 1900-01-01, the first moment of `DateTime64`. The last is [`Timestamp::MAX`].
const FIRST_TIME: i64 = -2_208_988_800_000;

/// Appends the values of a row.
#[derive(Debug)]
pub(crate) struct Row<'a>(pub(crate) &'a mut Vec<u8>);

impl Row<'_> {
    /// A length, as unsigned LEB128.
    pub(crate) fn length(&mut self, length: usize) -> &mut Self {
        let mut rest = length;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    /// `String`, and `LowCardinality(String)`.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// `String` of any bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len()).0.extend_from_slice(bytes);
        self
    }

    /// `String` of two parts with a colon between.
    pub(crate) fn joined(&mut self, left: &str, right: &str) -> &mut Self {
        self.length(left.len() + 1 + right.len());
        self.0.extend_from_slice(left.as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(right.as_bytes());
        self
    }

    /// `Bool`.
    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        self.0.push(u8::from(flag));
        self
    }

    /// `UInt32`.
    pub(crate) fn unsigned(&mut self, number: u32) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// `Int32`, and `Date32`.
    pub(crate) fn integer(&mut self, number: i32) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// `Int64`.
    pub(crate) fn long(&mut self, number: i64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// `DateTime64(3)`; what it cannot hold becomes the nearest that it can.
    pub(crate) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.long(time.0.clamp(FIRST_TIME, Timestamp::MAX.0))
    }

    /// `Decimal(38, 6)`.
    pub(crate) fn amount(&mut self, amount: Amount) -> &mut Self {
        self.0.extend_from_slice(&amount.millionths().to_le_bytes());
        self
    }

    /// `UUID`: two halves, each little-endian.
    pub(crate) fn uuid(&mut self, uuid: Uuid) -> &mut Self {
        let (high, low) = uuid.as_u64_pair();
        self.0.extend_from_slice(&high.to_le_bytes());
        self.0.extend_from_slice(&low.to_le_bytes());
        self
    }

    /// `Nullable(T)`.
    pub(crate) fn optional<T>(
        &mut self,
        value: Option<T>,
        append: impl FnOnce(&mut Self, T),
    ) -> &mut Self {
        self.0.push(u8::from(value.is_none()));
        if let Some(value) = value {
            append(self, value);
        }
        self
    }

    /// `Nullable(UUID)`.
    pub(crate) fn optional_uuid(&mut self, uuid: Option<Uuid>) -> &mut Self {
        self.optional(uuid, |row, uuid| {
            row.uuid(uuid);
        })
    }

    /// `Nullable(DateTime64(3))`.
    pub(crate) fn optional_time(&mut self, time: Option<Timestamp>) -> &mut Self {
        self.optional(time, |row, time| {
            row.time(time);
        })
    }

    /// `Nullable(Decimal(38, 6))`.
    pub(crate) fn optional_amount(&mut self, amount: Option<Amount>) -> &mut Self {
        self.optional(amount, |row, amount| {
            row.amount(amount);
        })
    }

    /// `Array(T)`, and `Map(K, V)` with entries of key and value.
    pub(crate) fn array<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut append: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.length(items.len());
        for item in items {
            append(self, item);
        }
        self
    }

    /// `JSON`, read from text; no text is an object without members.
    pub(crate) fn json(&mut self, text: &str) -> &mut Self {
        let text = if text.is_empty() { "{}" } else { text };
        self.text(&json::storable(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(append: impl FnOnce(&mut Row<'_>)) -> Vec<u8> {
        let mut buffer = Vec::new();
        append(&mut Row(&mut buffer));
        buffer
    }

    #[test]
    fn lengths_are_leb128() {
        for (length, expected) in [
            (0, vec![0]),
            (127, vec![127]),
            (128, vec![0x80, 1]),
            (300, vec![0xac, 2]),
            (2_097_152, vec![0x80, 0x80, 0x80, 1]),
        ] {
            assert_eq!(
                bytes(|row| {
                    row.length(length);
                }),
                expected,
                "{length}"
            );
        }
    }

    #[test]
    fn a_uuid_is_two_little_endian_halves() {
        let uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        let expected = [
            0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99,
            0x88,
        ];
        assert_eq!(
            bytes(|row| {
                row.uuid(uuid);
            }),
            expected
        );
    }

    #[test]
    fn a_missing_value_is_one_byte() {
        assert_eq!(
            bytes(|row| {
                row.optional_uuid(None);
            }),
            [1]
        );
        assert_eq!(
            bytes(|row| {
                row.optional_time(Some(Timestamp(1)));
            }),
            [0, 1, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn times_beyond_what_the_engine_holds_become_the_nearest() {
        assert_eq!(
            bytes(|row| {
                row.time(Timestamp(i64::MAX));
            }),
            Timestamp::MAX.0.to_le_bytes()
        );
        assert_eq!(
            bytes(|row| {
                row.time(Timestamp(i64::MIN));
            }),
            FIRST_TIME.to_le_bytes()
        );
    }
}
