//! CPU time and memory of a process, as the kernel accounts for them.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The unit of times in /proc: USER_HZ, which is 100 by the kernel's interface whatever its own tick is.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of all threads of a process, also of those that ended.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("process {pid} has ended"))?;
    times(&text).with_context(|| format!("{path} is not as documented"))
}

/// The same of this process.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu(std::process::id())
}

/// CPU time of the threads that live, by name; threads of one name are added up.
pub(crate) fn by_thread(pid: u32) -> BTreeMap<String, Duration> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        // Either is missing when the thread has ended meanwhile.
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if let Some(time) = times(&read("stat")) {
            *sums.entry(read("comm").trim().to_owned()).or_default() += time;
        }
    }
    sums
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The fields `utime` and `stime` of a stat line. The name before them is in parentheses and may hold any character.
fn times(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

/// The middle one of three measurements, by the first of their figures: so one that was disturbed does not count.
pub(crate) fn middle(
    mut measure: impl FnMut() -> anyhow::Result<(f64, f64)>,
) -> anyhow::Result<(f64, f64)> {
    let mut all = [measure()?, measure()?, measure()?];
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    Ok(all[1])
}
