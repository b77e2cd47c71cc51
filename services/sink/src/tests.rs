//! Tests of the whole writer, against fakes that die at any step.

mod events;
mod kills;
mod world;
