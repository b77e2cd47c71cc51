//! Avro's binary encoding, for the message that every event passes through: a writer and a reader that know where they
//! are by the order of their calls, as the schema does by the order of its fields, instead of looking names up in it.
//!
//! What they write and read is compared with `serde_avro_fast`, which goes by the schema, in the tests of
//! [`wire`](crate::wire). Source: Apache Avro's specification, "Binary Encoding".

use tributary_core::money::Amount;

/// The datum does not fit: too short, a text that is not UTF-8, a number out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The largest number behind a decimal of the schemas, whose precision is 28 digits.
const LARGEST_DECIMAL: u128 = 10_u128.pow(28) - 1;

/// Appends values to a buffer.
pub(crate) struct Writer<'b>(pub(crate) &'b mut Vec<u8>);

impl Writer<'_> {
    /// An `int` or a `long`: zigzag, seven bits a byte, lowest first.
    pub(crate) fn long(&mut self, value: i64) {
        let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
        while zigzag >= 0x80 {
            self.0.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        self.0.push(zigzag as u8);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.0.extend_from_slice(bytes);
    }

    /// A `decimal` of scale 6 in `bytes`: two's complement, the highest byte first, no more bytes than it needs.
    pub(crate) fn decimal(&mut self, amount: Amount) {
        let millionths = amount.millionths();
        let bytes = millionths.to_be_bytes();
        let sign_bits = if millionths < 0 {
            millionths.leading_ones()
        } else {
            millionths.leading_zeros()
        };
        // One bit of them must stay: it tells the sign.
        let needless = (sign_bits as usize - 1) / 8;
        self.bytes(&bytes[needless..]);
    }

    /// A union of null and another type.
    pub(crate) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        // The number of the branch, 0 for null, 1 for the other, in zigzag.
        self.0.push(u8::from(value.is_some()) * 2);
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// One block of items, and the end.
    pub(crate) fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.long(items.len() as i64);
            for item in items {
                write(self, item);
            }
        }
        self.long(0);
    }
}

/// Takes values off the front of a datum, borrowing its texts.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn long(&mut self) -> Result<i64, Malformed> {
        let mut zigzag = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte, rest @ ..] = self.0 else {
                return Err(Malformed);
            };
            self.0 = rest;
            if shift == 63 && *byte > 1 {
                return Err(Malformed);
            }
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        Err(Malformed)
    }

    pub(crate) fn int(&mut self) -> Result<i32, Malformed> {
        self.long()?.try_into().map_err(|_| Malformed)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Malformed> {
        match *self.0 {
            [byte @ (0 | 1), ref rest @ ..] => {
                self.0 = rest;
                Ok(byte == 1)
            }
            _ => Err(Malformed),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.long()?).map_err(|_| Malformed)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(crate) fn decimal(&mut self) -> Result<Amount, Malformed> {
        let bytes = self.bytes()?;
        let [highest, ..] = bytes else {
            return Ok(Amount::ZERO);
        };
        if bytes.len() > 16 {
            return Err(Malformed);
        }
        let sign = if highest & 0x80 == 0 { 0 } else { -1_i128 };
        let millionths = bytes
            .iter()
            .fold(sign, |value, byte| value << 8 | i128::from(*byte));
        if millionths.unsigned_abs() > LARGEST_DECIMAL {
            return Err(Malformed);
        }
        Ok(Amount::from_millionths(millionths))
    }

    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.long()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn array<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let mut items = Vec::new();
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                // Then the block's length in bytes stands first, for readers that leave it out.
                self.long()?;
            }
            // Nothing is reserved: the count may be false.
            for _ in 0..count.unsigned_abs() {
                items.push(read(self)?);
            }
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_specification_says() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
        ] {
            let mut written = Vec::new();
            Writer(&mut written).long(value);
            assert_eq!(written, bytes, "{value}");
        }
        for value in [i64::MIN, i64::MAX, 0, -1, 1 << 40] {
            let mut written = Vec::new();
            Writer(&mut written).long(value);
            assert_eq!(Reader(&written).long(), Ok(value));
        }
    }

    #[test]
    fn decimals_take_the_bytes_they_need_and_keep_their_sign() {
        for (millionths, bytes) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0x00, 0x80]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
        ] {
            let mut written = Vec::new();
            Writer(&mut written).decimal(Amount::from_millionths(millionths));
            assert_eq!(written[1..], *bytes, "{millionths}");
            assert_eq!(
                Reader(&written).decimal(),
                Ok(Amount::from_millionths(millionths))
            );
        }
    }

    #[test]
    fn what_is_cut_off_or_false_is_malformed_and_reserves_nothing() {
        assert_eq!(Reader(&[]).long(), Err(Malformed));
        assert_eq!(Reader(&[0x80]).long(), Err(Malformed));
        assert_eq!(Reader(&[0xff; 11]).long(), Err(Malformed));
        let beyond_64_bits = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader(&beyond_64_bits).long(), Err(Malformed));
        assert_eq!(Reader(&[6, b'a', b'b']).string(), Err(Malformed));
        assert_eq!(Reader(&[1]).string(), Err(Malformed), "a length below 0");
        assert_eq!(Reader(&[2, 0xff]).string(), Err(Malformed), "not UTF-8");
        assert_eq!(Reader(&[2]).boolean(), Err(Malformed));
        assert_eq!(
            Reader(&[4]).optional(Reader::long),
            Err(Malformed),
            "branch 2"
        );
        for count in [i64::MAX, i64::MIN] {
            let mut claims_much = Vec::new();
            Writer(&mut claims_much).long(count);
            assert_eq!(Reader(&claims_much).array(Reader::long), Err(Malformed));
        }
        let largest = LARGEST_DECIMAL as i128;
        for (millionths, fits) in [
            (largest, true),
            (-largest, true),
            (largest + 1, false),
            (i128::MIN, false),
        ] {
            let mut written = Vec::new();
            Writer(&mut written).decimal(Amount::from_millionths(millionths));
            assert_eq!(Reader(&written).decimal().is_ok(), fits, "{millionths}");
        }
    }

    #[test]
    fn arrays_come_in_blocks_of_either_form() {
        let blocks = [4, 2, 4, 1, 2, 6, 0];
        let mut reader = Reader(&blocks);
        assert_eq!(reader.array(Reader::long), Ok(vec![1, 2, 3]));
        assert_eq!(reader.end(), Ok(()));
    }
}
