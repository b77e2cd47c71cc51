//! `server.properties` of the one node.

use super::Options;
use std::path::Path;

/// Written anew at each start: ports may change, and newer versions may know better values.
pub(super) fn server(options: &Options, data: &Path) -> String {
    let Options {
        port,
        controller_port,
        ..
    } = options;
    let data = escape(&data.display().to_string());
    format!(
        "\
# Written by `tributary kafka` at each start; changes are lost.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}

# One broker cannot keep more copies.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# The defaults of 50 partitions are for clusters: here they are start time and open files.
num.partitions=4
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=1

# Topics are created as topics.toml says, never by a misspelt name.
auto.create.topics.enable=false
# The first member of a group need not wait for others.
group.initial.rebalance.delay.ms=0
# A killed worker is replaced soon.
group.min.session.timeout.ms=1000
# What it left open hides what comes behind it: aborted soon after its timeout.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# Batches of a few thousand events.
message.max.bytes=8388608

# After a kill the node registers anew only when its old session has ended: 9 s by default, of a start's 15.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000

# Within 512 MB of heap: the cleaner's buffer alone is 128 MB by default.
log.cleaner.dedupe.buffer.size=33554432
log.cleaner.threads=1
num.network.threads=2
num.io.threads=4
background.threads=4
"
    )
}

/// Java reads property files as Latin-1 with escapes.
fn escape(text: &str) -> String {
    text.encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(b'\\') => "\\\\".to_owned(),
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_accents_survive_java() {
        assert_eq!(escape("/home/renée/a\\b"), "/home/ren\\u00e9e/a\\\\b");
    }
}
