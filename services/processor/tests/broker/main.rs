//! Tests of the processor on a real broker, which is started with the first of them.

mod exactly_once;
mod settled;
mod support;
