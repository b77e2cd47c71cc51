//! Tests of the whole writer: against fakes that die at any step, and against a real broker and the real engine.

mod engine;
mod events;
mod kills;
mod pipeline;
mod servers;
mod stored;
mod views;
mod world;
