//! Waits for conditions.

use std::time::{Duration, Instant};

/// How often a condition is asked.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `condition` holds; its error says what is missing.
///
/// # Panics
/// When it does not hold within `limit`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match condition() {
            Ok(value) => return value,
            Err(missing) if Instant::now() > deadline => {
                panic!("waited {limit:?} for {what}: {missing}")
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}
