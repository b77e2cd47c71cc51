//! The machine that a figure was measured on, without which it says nothing.

use serde_json::{Value, json};
use std::fs;

/// What the kernel says of the machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    memory_bytes: u64,
    model: String,
    kernel: String,
    /// Of the last minute, before anything was started: above a core's worth, somebody else was measured too.
    load_before: f64,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let kilobytes = field(&text("/proc/meminfo"), "MemTotal")
            .trim_end_matches(" kB")
            .parse()
            .unwrap_or(0);
        let cpu = text("/proc/cpuinfo");
        let model = ["model name", "Model", "CPU part"]
            .iter()
            .map(|name| field(&cpu, name))
            .find(|model| !model.is_empty());
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: 1024_u64.saturating_mul(kilobytes),
            model: model.unwrap_or_else(|| "unknown".to_owned()),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load(),
        }
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores of {}, {:.1} GB, Linux {}, load {:.1} before and {:.1} after",
            self.cores,
            self.model,
            self.memory_bytes as f64 / 1e9,
            self.kernel,
            self.load_before,
            load()
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "cpu": self.model,
            "memory_bytes": self.memory_bytes,
            "kernel": self.kernel,
            "load_before": self.load_before,
            "load_after": load(),
        })
    }
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0.0)
}
