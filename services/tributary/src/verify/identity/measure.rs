//! How well one grouping agrees with another: the usual measures of entity resolution.
//!
//! All come from the table of how many items of each true group are in each predicted one.

use serde::Serialize;
use std::collections::HashMap;

/// Precision, recall and their harmonic mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Score {
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) f1: f64,
}

/// How well a grouping agrees with the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Quality {
    pub(crate) items: u64,
    /// Over all pairs of items: whether they are rightly together.
    pub(crate) pairwise: Score,
    /// Over all items: how much of an item's group is rightly with it (Bagga and Baldwin 1998).
    pub(crate) b_cubed: Score,
    /// H(truth | predicted) in nats: what merging too much has lost; with `split` it adds up to the variation of
    /// information (Meila 2003).
    pub(crate) over_merge: f64,
    /// H(predicted | truth) in nats: what splitting too much has lost.
    pub(crate) split: f64,
    /// Items of the largest predicted group.
    pub(crate) largest: u64,
}

impl Score {
    fn of(precision: f64, recall: f64) -> Self {
        let sum = precision + recall;
        Score {
            precision,
            recall,
            f1: if sum > 0.0 {
                2.0 * precision * recall / sum
            } else {
                0.0
            },
        }
    }
}

/// A share of nothing is whole.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}

/// Compares the groups, which are given by item.
pub(crate) fn measure(truth: &[u32], predicted: &[u32]) -> Quality {
    debug_assert_eq!(truth.len(), predicted.len(), "one group an item each");
    let (mut cells, mut actual, mut found) = (
        HashMap::<(u32, u32), u64>::new(),
        HashMap::<u32, u64>::new(),
        HashMap::<u32, u64>::new(),
    );
    for (truth, predicted) in truth.iter().zip(predicted) {
        *cells.entry((*truth, *predicted)).or_default() += 1;
        *actual.entry(*truth).or_default() += 1;
        *found.entry(*predicted).or_default() += 1;
    }
    // Sums of floats depend on their order, and that of a map on chance.
    let mut cells: Vec<((u32, u32), u64)> = cells.into_iter().collect();
    cells.sort_unstable();
    let items = truth.len() as f64;
    let pairs = |count: u64| count as f64 * (count as f64 - 1.0) / 2.0;
    let (mut right, mut purity, mut completeness, mut over_merge, mut split) =
        (0.0, 0.0, 0.0, 0.0, 0.0);
    for ((truth, predicted), count) in cells {
        let (of_truth, of_predicted) = (actual[&truth] as f64, found[&predicted] as f64);
        let both = count as f64;
        right += pairs(count);
        purity += both * both / of_predicted;
        completeness += both * both / of_truth;
        over_merge -= both / items * (both / of_predicted).ln();
        split -= both / items * (both / of_truth).ln();
    }
    // Whole numbers below 2^53, whose sums are exact in any order.
    let all = |groups: &HashMap<u32, u64>| groups.values().copied().map(pairs).sum::<f64>();
    Quality {
        items: truth.len() as u64,
        pairwise: Score::of(share(right, all(&found)), share(right, all(&actual))),
        b_cubed: Score::of(share(purity, items), share(completeness, items)),
        over_merge: over_merge.abs(),
        split: split.abs(),
        largest: found.values().copied().max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-5, "{found} is not {expected}");
    }

    #[test]
    fn the_worked_example_comes_out_as_written() {
        // Truth {123}{45}{6789}, predicted {12}{345}{678}{9}.
        let quality = measure(&[0, 0, 0, 1, 1, 2, 2, 2, 2], &[0, 0, 1, 1, 1, 2, 2, 2, 3]);
        close(quality.pairwise.precision, 0.7143);
        close(quality.pairwise.recall, 0.5);
        close(quality.pairwise.f1, 0.5882);
        close(quality.b_cubed.precision, 0.8519);
        close(quality.b_cubed.recall, 0.6852);
        close(quality.b_cubed.f1, 0.7595);
        close(quality.over_merge, 0.2122);
        close(quality.split, 0.4621);
        close(quality.over_merge + quality.split, 0.6743);
        assert_eq!((quality.items, quality.largest), (9, 3));
    }

    #[test]
    fn the_truth_is_perfect_and_one_group_for_all_recalls_all() {
        let truth = [0, 0, 1, 2];
        let perfect = measure(&truth, &[7, 7, 3, 5]);
        assert_eq!((perfect.pairwise.f1, perfect.b_cubed.f1), (1.0, 1.0));
        assert_eq!((perfect.over_merge, perfect.split), (0.0, 0.0));
        let one = measure(&truth, &[0; 4]);
        close(one.pairwise.precision, 1.0 / 6.0);
        assert_eq!((one.pairwise.recall, one.largest), (1.0, 4));
        let nothing = measure(&[], &[]);
        assert_eq!((nothing.items, nothing.pairwise.precision), (0, 1.0));
    }
}
