//! Tests of the whole writer, against fakes that die at any step and against the real engine.

mod engine;
mod events;
mod kills;
mod pipeline;
mod stored;
mod views;
mod world;
