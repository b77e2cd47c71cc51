//! The change of KPI contributions, summed per key and mark before each commit.

use rustc_hash::FxHashMap;
use tributary_contracts::framing::Encoder;
use tributary_contracts::keys;
use tributary_contracts::wire::{Change, Contribution};
use tributary_core::kpi::{Dimension, Key, Kpi, Sum};
use tributary_core::profile::{Contributions, Definitions, Difference, follow};

use crate::runtime::stage::{Broken, Outputs};

/// Topic of contributions.
const TOPIC: &str = "contributions";

/// Changes of one message: at 31 bytes at most each, below 500 KB.
const CHANGES_PER_MESSAGE: usize = 15_000;

/// Sums by key, then by window (0: a minute) and mark.
#[derive(Debug)]
pub(super) struct Sums {
    places: FxHashMap<Box<[u8]>, usize>,
    sums: Vec<OfKey>,
    encoder: Encoder,
}

#[derive(Debug)]
struct OfKey {
    key: Box<[u8]>,
    kpi: Kpi,
    dimension: Dimension,
    sums: FxHashMap<(i32, i64), Sum>,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self {
            places: FxHashMap::default(),
            sums: Vec::new(),
            encoder: Encoder::new("contribution"),
        }
    }

    /// Where contributions of a workspace are added, but for those by dimensions that are not counted.
    pub(super) fn of<'a>(
        &'a mut self,
        workspace: &'a str,
        definitions: &'a Definitions,
    ) -> OfWorkspace<'a> {
        OfWorkspace {
            workspace,
            definitions: Some(definitions),
            all: self,
        }
    }

    /// Where all contributions of a workspace are added.
    pub(super) fn of_all<'a>(&'a mut self, workspace: &'a str) -> OfWorkspace<'a> {
        OfWorkspace {
            workspace,
            definitions: None,
            all: self,
        }
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.sums.clear();
    }

    /// Adds what follows from the sums so far in those of other KPIs.
    pub(super) fn follow(&mut self, definitions: &Definitions) -> Result<(), Broken> {
        for place in 0..self.sums.len() {
            let OfKey { kpi, dimension, .. } = self.sums[place];
            let is_followed = matches!(
                kpi,
                Kpi::Visitors | Kpi::Sessions | Kpi::Leads | Kpi::Contacts | Kpi::Spend
            );
            if !is_followed {
                continue;
            }
            let OfKey { key, sums, .. } = &self.sums[place];
            let (key, sums): (Box<[u8]>, Vec<Placed>) = (
                key.clone(),
                sums.iter().map(|(place, sum)| (*place, *sum)).collect(),
            );
            let [workspace, _, currency, _, value] = parts(&key)?;
            let key = Key {
                kpi,
                currency,
                dimension,
                value,
            };
            follow(workspace, &key, definitions, |follower, of| {
                let follower = self.place(workspace, follower);
                for (place, sum) in &sums {
                    *self.sums[follower].sums.entry(*place).or_default() += of(*sum);
                }
            });
        }
        Ok(())
    }

    fn place(&mut self, workspace: &str, key: &Key<'_>) -> usize {
        let bytes = keys::joined(&[
            workspace,
            key.kpi.slug(),
            key.currency,
            key.dimension.name(),
            key.value,
        ]);
        if let Some(place) = self.places.get(&*bytes) {
            return *place;
        }
        let bytes = bytes.into_boxed_slice();
        self.places.insert(bytes.clone(), self.sums.len());
        self.sums.push(OfKey {
            key: bytes,
            kpi: key.kpi,
            dimension: key.dimension,
            sums: FxHashMap::default(),
        });
        self.sums.len() - 1
    }

    /// Sends all that is not zero, sorted, and forgets it.
    pub(super) fn send(&mut self, outputs: &mut dyn Outputs) -> Result<(), Broken> {
        let partitions = outputs.partitions(TOPIC);
        let mut sums = std::mem::take(&mut self.sums);
        self.places.clear();
        sums.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let mut buffer = Vec::new();
        for OfKey { key, sums, .. } in sums {
            let mut sums: Vec<_> = sums.into_iter().filter(|(_, sum)| !sum.is_zero()).collect();
            sums.sort_unstable_by_key(|(place, _)| *place);
            for part in balanced_parts(&sums, CHANGES_PER_MESSAGE) {
                let changes = part
                    .into_iter()
                    .flat_map(|((window, mark), sum)| changes(window, mark, sum))
                    .collect();
                let message = contribution(&key, changes)?;
                buffer.clear();
                self.encoder
                    .encode(&message, &mut buffer)
                    .map_err(|error| Broken(format!("encode a contribution: {error}")))?;
                // All values of a dimension together: which of them are told apart is one decision.
                let [workspace, kpi, currency, dimension, _] = parts(&key)?;
                let filed = keys::joined(&[workspace, kpi, currency, dimension]);
                outputs.send(TOPIC, keys::partition(&filed, partitions), &key, &buffer)?;
            }
        }
        Ok(())
    }
}

/// See [`Sums::of`].
pub(super) struct OfWorkspace<'a> {
    workspace: &'a str,
    definitions: Option<&'a Definitions>,
    all: &'a mut Sums,
}

impl Contributions for OfWorkspace<'_> {
    fn add(&mut self, key: &Key<'_>, differences: &[Difference]) {
        let counts = |by: &Definitions| by.counts_by(key.dimension);
        if differences.is_empty() || !self.definitions.is_none_or(counts) {
            return;
        }
        let place = self.all.place(self.workspace, key);
        let sums = &mut self.all.sums[place].sums;
        for difference in differences {
            let window = difference
                .window
                .map_or(0, |window| window.index() as i32 + 1);
            *sums.entry((window, difference.mark)).or_default() += difference.sum;
        }
    }
}

/// Nothing is kept of what is added: for a profile that is read back, whose contributions were sent long ago.
pub(super) struct Nowhere;

impl Contributions for Nowhere {
    fn add(&mut self, _key: &Key<'_>, _differences: &[Difference]) {}
}

/// Contributions of what was defined otherwise: taken back, or added anew, with what follows from them.
pub(super) struct Redefined<'a, C> {
    pub(super) sums: &'a mut C,
    pub(super) workspace: &'a str,
    pub(super) definitions: &'a Definitions,
    /// Slugs of the KPIs that are contributed to.
    pub(super) kpis: &'a [String],
    pub(super) is_taken_back: bool,
}

impl<C: Contributions> Contributions for Redefined<'_, C> {
    fn add(&mut self, key: &Key<'_>, differences: &[Difference]) {
        let mut add = |key: &Key<'_>, of: &dyn Fn(Sum) -> Sum| {
            let is_known = self.kpis.iter().any(|kpi| kpi == key.kpi.slug());
            if !is_known || !self.definitions.counts_by(key.dimension) {
                return;
            }
            let differences: Vec<Difference> = differences
                .iter()
                .map(|difference| Difference {
                    sum: match self.is_taken_back {
                        true => -of(difference.sum),
                        false => of(difference.sum),
                    },
                    ..*difference
                })
                .collect();
            self.sums.add(key, &differences);
        };
        add(key, &|sum| sum);
        follow(self.workspace, key, self.definitions, |follower, of| {
            add(follower, &of);
        });
    }
}

fn contribution(key: &[u8], changes: Vec<Change>) -> Result<Contribution<'_>, Broken> {
    let [workspace, kpi, currency, dimension, dimension_value] = parts(key)?;
    Ok(Contribution {
        workspace,
        kpi,
        currency,
        dimension,
        dimension_value,
        changes,
    })
}

/// Workspace, KPI, currency, dimension and value.
fn parts(key: &[u8]) -> Result<[&str; 5], Broken> {
    let text = std::str::from_utf8(key)
        .map_err(|_| Broken("a key of contributions is not text".to_owned()))?;
    let parts: Vec<&str> = text.split('\0').collect();
    parts.try_into().map_err(|_| {
        Broken(
            "a key of contributions has not five parts: a workspace, goal or currency holds NUL"
                .to_owned(),
        )
    })
}

/// Window and mark, and what is added there.
type Placed = ((i32, i64), Sum);

/// Sums in parts of about `most`. Differences take back at a later mark what they add: a part that ends between is closed
/// by taking it back where the next part begins, and that part adds it again; so whoever knows only some of the parts
/// sees no value that reaches to the end of time.
fn balanced_parts(sums: &[Placed], most: usize) -> Vec<Vec<Placed>> {
    let (mut parts, mut part, mut open): (Vec<Vec<Placed>>, Vec<Placed>, Sum) =
        (Vec::new(), Vec::new(), Sum::ZERO);
    let mut window = 0;
    for &(place, sum) in sums {
        // What is never taken back stays open in its own window only.
        if std::mem::replace(&mut window, place.0) != place.0 {
            open = Sum::ZERO;
        }
        if part.len() >= most {
            if !open.is_zero() {
                part.push((place, -open));
            }
            parts.push(std::mem::take(&mut part));
            if !open.is_zero() {
                part.push((place, open));
            }
        }
        // Amounts at a minute are not taken back.
        if place.0 > 0 {
            open += sum;
        }
        part.push((place, sum));
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// As many changes as a sum needs whose parts are 64 bits wide.
fn changes(window: i32, mark: i64, sum: Sum) -> impl Iterator<Item = Change> {
    let (mut numerator, mut denominator, mut done) = (sum.numerator, sum.denominator, false);
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let part = numerator.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        numerator -= part;
        done = numerator == 0;
        let part = i64::try_from(part).expect("was clamped to it");
        Some(Change {
            window,
            mark,
            numerator: part,
            denominator: std::mem::take(&mut denominator),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_differences_are_balanced_and_add_up_to_all_of_them() {
        let one = |number: i64| Sum {
            numerator: 0,
            denominator: number,
        };
        let sums: Vec<Placed> = vec![
            ((0, 5), one(7)),
            ((1, 1), one(1)),
            ((1, 2), one(2)),
            ((1, 4), one(-1)),
            ((1, 9), one(-2)),
            ((2, 1), one(3)),
            ((2, 2), one(-3)),
        ];
        for most in 1..9 {
            let parts = balanced_parts(&sums, most);
            let mut added = std::collections::BTreeMap::<(i32, i64), i64>::new();
            for part in &parts {
                let open: i64 = part
                    .iter()
                    .filter(|(place, _)| place.0 > 0)
                    .map(|(_, sum)| sum.denominator)
                    .sum();
                assert_eq!(open, 0, "{part:?} of {most}");
                part.iter()
                    .for_each(|(place, sum)| *added.entry(*place).or_default() += sum.denominator);
            }
            let added: Vec<Placed> = added
                .into_iter()
                .map(|(place, number)| (place, one(number)))
                .collect();
            assert_eq!(added, sums, "in parts of {most}");
        }
    }

    #[test]
    fn a_sum_beyond_64_bits_is_sent_in_parts_that_add_up_to_it() {
        for numerator in [0, 5, i128::from(i64::MAX) * 2 + 7, i128::from(i64::MIN) * 3] {
            let parts: Vec<Change> = changes(
                0,
                9,
                Sum {
                    numerator,
                    denominator: 4,
                },
            )
            .collect();
            assert_eq!(
                parts
                    .iter()
                    .map(|part| i128::from(part.numerator))
                    .sum::<i128>(),
                numerator
            );
            assert_eq!(parts.iter().map(|part| part.denominator).sum::<i64>(), 4);
        }
    }
}
