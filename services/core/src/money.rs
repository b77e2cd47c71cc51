//! Amounts: exact decimals with six places, never floats.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal number in millionths. What it counts (euros, points, units) stands beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// Why a text is no [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAmountError {
    /// Not a decimal number.
    #[error("is not a decimal number such as 12.50")]
    NotANumber,
    /// Beyond [`Amount::LIMIT`] either way.
    #[error("is beyond 1,000,000,000,000 either way")]
    TooLarge,
}

const UNIT: i128 = 1_000_000;
const PLACES: i32 = 6;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that one event may state: a million million.
    pub const LIMIT: Self = Self(1_000_000_000_000 * UNIT);

    /// From a whole number of units.
    #[must_use]
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128 * UNIT)
    }

    /// From millionths of a unit.
    #[must_use]
    pub const fn from_millionths(millionths: i128) -> Self {
        Self(millionths)
    }

    /// In millionths of a unit.
    #[must_use]
    pub const fn millionths(self) -> i128 {
        self.0
    }

    /// As the nearest float, for a quotient that is shown, never for a sum.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / UNIT as f64
    }

    /// Part of whole of it, the rest below a millionth cut off; nothing of a whole that is nothing. Exact where this and the
    /// part are within [`LIMIT`](Self::LIMIT).
    #[must_use]
    pub const fn share(self, part: Self, whole: Self) -> Self {
        match self.0.saturating_mul(part.0).checked_div(whole.0) {
            Some(share) => Self(share),
            None => Self::ZERO,
        }
    }

    /// So many times of it, the rest below a millionth cut off. Exact where both are within [`LIMIT`](Self::LIMIT).
    #[must_use]
    pub const fn times(self, count: Self) -> Self {
        Self(self.0.saturating_mul(count.0) / UNIT)
    }

    /// Without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether this is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    /// Reads `12`, `-0.5`, `1.25e3`; more than six places are rounded half to even, so that a float's
    /// `0.30000000000000004` is the 0.3 that was meant.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let amount = Self::parse_sum(text)?;
        if amount > Self::LIMIT || amount < -Self::LIMIT {
            Err(ParseAmountError::TooLarge)
        } else {
            Ok(amount)
        }
    }
}

impl Amount {
    /// Reads an amount that may be a sum of many, and so beyond [`LIMIT`](Self::LIMIT).
    fn parse_sum(text: &str) -> Result<Self, ParseAmountError> {
        use ParseAmountError::{NotANumber, TooLarge};
        let text = text.trim();
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_| NotANumber)?)
            }
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits.all(|byte| byte.is_ascii_digit()) {
            return Err(NotANumber);
        }
        // The digit at `index` of whole+fraction stands at 10^(point - 1 - index) millionths.
        let point = i32::try_from(whole.len())
            .map_err(|_| TooLarge)?
            .saturating_add(exponent)
            .saturating_add(PLACES);
        let mut value: i128 = 0;
        let (mut first_dropped, mut rest_dropped) = (0_u8, false);
        for (index, byte) in (0_i32..).zip(whole.bytes().chain(fraction.bytes())) {
            let digit = byte - b'0';
            if index < point {
                value = value
                    .checked_mul(10)
                    .and_then(|value| value.checked_add(i128::from(digit)))
                    .ok_or(TooLarge)?;
            } else if index == point {
                first_dropped = digit;
            } else {
                rest_dropped |= digit != 0;
            }
        }
        let written = i32::try_from(whole.len() + fraction.len()).map_err(|_| TooLarge)?;
        if point > written && value != 0 {
            let zeros = u32::try_from(point - written).map_err(|_| TooLarge)?;
            value = 10_i128
                .checked_pow(zeros)
                .and_then(|factor| value.checked_mul(factor))
                .ok_or(TooLarge)?;
        }
        if point < 0 {
            first_dropped = 0;
        }
        if first_dropped > 5 || (first_dropped == 5 && (rest_dropped || value % 2 == 1)) {
            value += 1;
        }
        Ok(Self(if negative { -value } else { value }))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (
            self.0.unsigned_abs() / UNIT as u128,
            self.0.unsigned_abs() % UNIT as u128,
        );
        if fraction == 0 {
            return write!(formatter, "{sign}{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(
            formatter,
            "{sign}{whole}.{}",
            fraction.trim_end_matches('0')
        )
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Amount;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a decimal number as text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Amount::parse_sum(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_and_shown_shortest() {
        for (text, shown) in [
            ("0", "0"),
            ("12.50", "12.5"),
            ("-0.000001", "-0.000001"),
            ("1.25e3", "1250"),
            ("5E-7", "0"),
            ("15e-7", "0.000002"),
            ("0.30000000000000004", "0.3"),
            ("2.0000005", "2"),
            ("2.0000015", "2.000002"),
            ("2.00000051", "2.000001"),
            ("999999999999.999999", "999999999999.999999"),
            (".5", "0.5"),
            ("1e-30", "0"),
        ] {
            assert_eq!(
                text.parse::<Amount>().map(|amount| amount.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_sum_beyond_what_one_event_may_state_is_read_back() {
        let sum = Amount::LIMIT + Amount::LIMIT + Amount(1);
        let json = serde_json::to_string(&sum).expect("serialises");
        assert_eq!(serde_json::from_str::<Amount>(&json).expect("reads"), sum);
        assert!("2000000000000".parse::<Amount>().is_err());
    }

    #[test]
    fn what_is_no_amount_says_why() {
        for text in ["", ".", "abc", "1.2.3", "1e", "--1", "0x10", "NaN"] {
            assert_eq!(
                text.parse::<Amount>(),
                Err(ParseAmountError::NotANumber),
                "{text}"
            );
        }
        for text in [
            "1000000000001",
            "1e40",
            "-1e13",
            "9999999999999999999999999999999999999999999",
        ] {
            assert_eq!(
                text.parse::<Amount>(),
                Err(ParseAmountError::TooLarge),
                "{text}"
            );
        }
    }
}
