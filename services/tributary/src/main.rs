//! One binary: services and jobs.

fn main() {}
