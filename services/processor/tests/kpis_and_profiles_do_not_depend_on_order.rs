//! L1 for the profile and kpi stages: whatever way atoms took, in whatever order and batches, with whatever restarts, the
//! profiles and the published values are those that the definitions give for the final atoms.

#[path = "kpis/definition.rs"]
mod definition;
#[path = "kpis/pipeline.rs"]
mod pipeline;
#[path = "kpis/world.rs"]
mod world;

use proptest::prelude::*;

use self::pipeline::{KEEP, Pipeline};
use self::world::{History, NOW};

fn settled(histories: &[History], seed: u64) -> Pipeline {
    let mut pipeline = Pipeline::new(seed);
    pipeline.run(world::messages(histories));
    pipeline.settle(NOW);
    pipeline
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn published_values_are_those_of_the_definitions_whatever_way_the_atoms_took(
        histories in prop::collection::vec(world::history(), 1..9), seed: u64,
    ) {
        let pipeline = settled(&histories, seed);
        let (published, expected) = (pipeline.values(), definition::values(&world::last(&histories), &KEEP, NOW));
        for (series, values) in &expected {
            prop_assert_eq!(published.get(series), Some(values), "{:?}", series);
        }
        for (series, values) in &published {
            prop_assert!(expected.contains_key(series), "{:?} is {:?}", series, values);
        }
    }

    #[test]
    fn profiles_and_blocks_are_byte_for_byte_those_of_another_way(
        histories in prop::collection::vec(world::history(), 1..9), seed: u64, other_seed: u64,
    ) {
        let one = settled(&histories, seed);
        let other = settled(&histories, other_seed);
        prop_assert_eq!(one.records("profiles"), other.records("profiles"));
        prop_assert_eq!(one.records("kpis"), other.records("kpis"));
        let from_scratch = settled(&world::only_last(&histories), 0);
        prop_assert_eq!(one.records("profiles"), from_scratch.records("profiles"));
        prop_assert_eq!(one.records("kpis"), from_scratch.records("kpis"));
    }
}
