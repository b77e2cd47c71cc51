//! A block of marks: its differences, and the values that follow from them.

use crate::money::Amount;

use super::key::Kpi;

/// A pair of sums, or a difference of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// In millionths.
    pub numerator: i128,
    /// Count.
    pub denominator: i64,
}

impl Sum {
    /// Nothing.
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 0,
    };

    /// One more of what is counted.
    pub const ONE: Self = Self {
        numerator: 1_000_000,
        denominator: 0,
    };

    /// Whether both are 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.numerator == 0 && self.denominator == 0
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.numerator += other.numerator;
        self.denominator += other.denominator;
    }
}

impl std::ops::Neg for Sum {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            numerator: -self.numerator,
            denominator: -self.denominator,
        }
    }
}

/// A KPI at a mark, as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Of the ratio, or the sum itself.
    pub numerator: Amount,
    /// 1 where the KPI is a sum.
    pub denominator: i64,
}

impl Value {
    /// What is published of that sum; nothing where there is none.
    #[must_use]
    pub const fn of(kpi: Kpi, sum: Sum) -> Option<Self> {
        let numerator = Amount::from_millionths(sum.numerator);
        match (kpi.is_ratio(), sum.numerator, sum.denominator) {
            (true, _, 0) | (false, 0, _) => None,
            (true, _, denominator) => Some(Self {
                numerator,
                denominator,
            }),
            (false, _, _) => Some(Self {
                numerator,
                denominator: 1,
            }),
        }
    }
}

/// Differences at the marks of a block, by offset from its first mark; none is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    differences: Vec<(u8, Sum)>,
}

impl Block {
    /// Adds a difference at an offset.
    pub fn add(&mut self, offset: u8, difference: Sum) {
        if difference.is_zero() {
            return;
        }
        match self
            .differences
            .binary_search_by_key(&offset, |(offset, _)| *offset)
        {
            Ok(index) => {
                self.differences[index].1 += difference;
                if self.differences[index].1.is_zero() {
                    self.differences.remove(index);
                }
            }
            Err(index) => self.differences.insert(index, (offset, difference)),
        }
    }

    /// The differences, by offset.
    #[must_use]
    pub fn differences(&self) -> &[(u8, Sum)] {
        &self.differences
    }

    /// Their sum: by how much the block's last value differs from the one before its first.
    #[must_use]
    pub fn net(&self) -> Sum {
        let mut net = Sum::ZERO;
        for (_, difference) in &self.differences {
            net += *difference;
        }
        net
    }

    /// Calls `visit` with the offset and sum of each of the first `marks` marks, where `base` stands before them.
    pub fn running(&self, base: Sum, marks: i64, mut visit: impl FnMut(u8, Sum)) {
        let (mut sum, mut differences) = (base, self.differences.iter().peekable());
        for offset in 0..u8::try_from(marks).unwrap_or(u8::MAX) {
            if let Some((_, difference)) = differences.next_if(|(at, _)| *at == offset) {
                sum += *difference;
            }
            visit(offset, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(number: i64) -> Sum {
        Sum {
            numerator: i128::from(number) * 1_000_000,
            denominator: number,
        }
    }

    #[test]
    fn values_are_running_sums_from_the_base() {
        let mut block = Block::default();
        for (offset, number) in [(3, 2), (1, 1), (3, -1), (2, 5), (2, -5)] {
            block.add(offset, count(number));
        }
        assert_eq!(block.differences(), [(1, count(1)), (3, count(1))]);
        assert_eq!(block.net(), count(2));
        let mut sums = Vec::new();
        block.running(count(10), 5, |offset, sum| {
            sums.push((offset, sum.denominator))
        });
        assert_eq!(sums, [(0, 10), (1, 11), (2, 11), (3, 12), (4, 12)]);
    }

    #[test]
    fn a_ratio_without_denominator_and_a_sum_of_nothing_have_no_value() {
        let sum = |numerator, denominator| Sum {
            numerator,
            denominator,
        };
        let value = |numerator, denominator| {
            Some(Value {
                numerator: Amount::from_millionths(numerator),
                denominator,
            })
        };
        for (kpi, given, expected) in [
            (Kpi::Orders, sum(3_000_000, 0), value(3_000_000, 1)),
            (Kpi::Orders, sum(0, 0), None),
            (Kpi::Revenue, sum(-5, 0), value(-5, 1)),
            (Kpi::AverageOrderValue, sum(0, 2), value(0, 2)),
            (Kpi::AverageOrderValue, sum(0, 0), None),
        ] {
            assert_eq!(Value::of(kpi, given), expected, "{kpi:?} {given:?}");
        }
    }
}
