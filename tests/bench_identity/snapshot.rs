//! A graph written to a file and read back, as processors do it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::time::{Duration, Instant};
use tributary_core::identity::{Graph, Restoring};

/// What is written between two looks at the input.
const PART: usize = 2 << 20;

pub(crate) struct Measured {
    pub(crate) written: Duration,
    pub(crate) longest: Duration,
    pub(crate) bytes: usize,
    pub(crate) read: Duration,
}

pub(crate) fn measured(graph: &mut Graph) -> Measured {
    let file = tempfile::NamedTempFile::new().expect("the temporary folder can be written");
    let mut writer = BufWriter::new(file.reopen().expect("it is there"));
    let (mut longest, mut bytes) = (Duration::ZERO, 0);
    let mut lengths = Vec::new();
    let begin = Instant::now();
    let head = graph.begin_snapshot().expect("it is settled");
    loop {
        let begin = Instant::now();
        let mut part = Vec::with_capacity(PART);
        let is_last = graph.snapshot_part(PART, &mut part);
        writer.write_all(&part).expect("the disk has room");
        longest = longest.max(begin.elapsed());
        bytes += part.len();
        lengths.push(part.len());
        if is_last {
            break;
        }
    }
    writer.flush().expect("the disk has room");
    let written = begin.elapsed();

    let begin = Instant::now();
    let mut reader = BufReader::new(File::open(file.path()).expect("it is there"));
    let mut restoring =
        Restoring::new("bench", graph.rules().clone(), head).expect("there is memory for it");
    for length in lengths {
        let mut part = vec![0; length];
        reader.read_exact(&mut part).expect("it was written");
        restoring.take(&part).expect("a part");
    }
    let restored = restoring.finish().expect("all parts");
    let read = begin.elapsed();
    assert_eq!(restored.links(), graph.links());
    let roots = |graph: &Graph| -> u64 {
        let nodes = graph.all_nodes();
        nodes.filter(|node| graph.root(*node) == *node).count() as u64
    };
    assert_eq!(roots(&restored), roots(graph), "it is not who is who");
    Measured {
        written,
        longest,
        bytes,
        read,
    }
}
