//! Numbers by chance that are the same for a seed, on every machine.

/// Splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// Dice of a part of the world: parts with other numbers throw other numbers. Both numbers are scrambled, because
    /// states that differ by a multiple of the step are one sequence, begun elsewhere.
    pub(super) fn new(seed: u64, part: u64) -> Self {
        Dice(scrambled(
            scrambled(seed.wrapping_add(STEP)).wrapping_add(part),
        ))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        scrambled(self.0)
    }

    /// One of 0 to `limit` - 1; `limit` is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of `from` to `to` - 1.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).unwrap_or(0).max(1);
        from + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// True in so many of a million cases.
    pub(super) fn chance(&mut self, millionths: u64) -> bool {
        self.below(1_000_000) < millionths
    }

    /// An index, each as likely as its weight says.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum::<u64>().max(1));
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        weights.len() - 1
    }

    /// Digits as cookies have them.
    pub(super) fn hex(&mut self) -> String {
        format!("{:016x}", self.next())
    }
}

fn scrambled(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_and_a_seed_throws_the_same() {
        let mut counts = [0_u32; 3];
        let mut dice = Dice::new(1, 0);
        for _ in 0..10_000 {
            counts[dice.weighted(&[75, 20, 5])] += 1;
        }
        for (count, expected) in counts.into_iter().zip([7_500_u32, 2_000, 500]) {
            assert!(count.abs_diff(expected) < 150, "{counts:?}");
        }
        let drawn: std::collections::HashSet<String> = (0..100)
            .flat_map(|part| {
                let mut dice = Dice::new(1, part);
                (0..100).map(move |_| dice.hex()).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(drawn.len(), 10_000, "no two parts share their numbers");
        assert_eq!(Dice::new(1, 2).hex(), Dice::new(1, 2).hex());
        assert_ne!(Dice::new(1, 2).hex(), Dice::new(2, 2).hex());
        assert_ne!(Dice::new(1, 2).hex(), Dice::new(1, 3).hex());
    }
}
