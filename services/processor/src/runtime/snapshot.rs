//! Snapshots of what a stage has learned of its side input: a start reads one instead of the log's beginning.
//!
//! A snapshot is a cache. It is used only if it is whole, of this changelog, and knows no more than what was committed;
//! else the log is read from its beginning. So nothing is flushed to the disk, and a file that cannot be written is
//! no failure.
//!
//! ```text
//! frame: length (u32), xxh3 of the bytes (u64), bytes; numbers are little-endian
//! file:  a frame with the head, frames with the stage's parts, an empty frame
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::changelog::Place;
use super::stage::Stage;
use super::worker::{Failure, Worker};

/// Changes with whatever is written differently; others are not read.
const FORMAT: u32 = 1;

/// Written between two looks at the input: some milliseconds of work.
const PART: usize = 2 * 1024 * 1024;

/// A frame that says to be longer is none.
const LONGEST_FRAME: usize = 1024 * 1024 * 1024;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    format: u32,
    /// Of the side input; what comes before is in it.
    offset: i64,
    /// Of the changelogs of the partitions that the stage had: a snapshot of another cluster is of no use.
    incarnations: BTreeMap<i32, String>,
}

/// The snapshots of a life.
pub(super) struct Snapshots {
    name: &'static str,
    path: PathBuf,
    interval: Duration,
    writing: Option<Writing>,
    /// Of the last one that is whole.
    offset: Option<i64>,
    begun_at: Instant,
}

struct Writing {
    file: BufWriter<File>,
    offset: i64,
    bytes: usize,
}

impl Snapshots {
    pub(super) fn new(worker: &Worker) -> Self {
        Self {
            name: worker.name,
            path: worker
                .options
                .folder
                .join(format!("{}.snapshot", worker.name)),
            interval: worker.options.snapshot_interval,
            writing: None,
            offset: None,
            begun_at: Instant::now(),
        }
    }

    /// Hands the parts of a usable snapshot to the stage; returns the offset to go on from. None where there is none:
    /// then the stage may have taken in some of them, and is of no use.
    pub(super) fn restore(
        &mut self,
        stage: &mut dyn Stage,
        places: &BTreeMap<i32, Place>,
        decided: i64,
        keep_alive: &dyn Fn() -> Result<(), Failure>,
    ) -> Result<Option<i64>, Failure> {
        let begin = Instant::now();
        let mut reader = match File::open(&self.path) {
            Ok(file) => BufReader::with_capacity(PART, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Ok(self.refuse(&error)),
        };
        let head = match read_head(&mut reader) {
            Ok(head) => head,
            Err(error) => return Ok(self.refuse(&error)),
        };
        if let Err(why) = head.is_usable(&incarnations(places), decided) {
            return Ok(self.refuse(&why));
        }
        loop {
            keep_alive()?;
            let part = match read_frame(&mut reader) {
                Ok(part) => part,
                Err(error) => return Ok(self.refuse(&error)),
            };
            let is_last = part.is_empty();
            if let Err(broken) = stage.restore((!is_last).then_some(&part)) {
                return Ok(self.refuse(&broken));
            }
            if is_last {
                break;
            }
        }
        tracing::info!(
            stage = self.name,
            offset = head.offset,
            seconds = begin.elapsed().as_secs_f64(),
            "a snapshot was read"
        );
        self.offset = Some(head.offset);
        Ok(Some(head.offset))
    }

    fn refuse(&self, why: &dyn std::fmt::Display) -> Option<i64> {
        let path = self.path.display();
        tracing::warn!(stage = self.name, %path, %why, "the snapshot is not used: the log is read from its beginning");
        None
    }

    /// Begins a snapshot if it is time: to be called when nothing was taken or learned since the last
    /// commit, up to which `offset` of the side input.
    pub(super) fn begin_if_due(
        &mut self,
        stage: &mut dyn Stage,
        places: &BTreeMap<i32, Place>,
        offset: i64,
    ) {
        let is_new = self.offset.is_none_or(|last| last < offset);
        let is_due = self.offset.is_none() || self.begun_at.elapsed() >= self.interval;
        if self.writing.is_none() && is_new && is_due {
            self.begin(stage, places, offset);
        }
    }

    fn begin(&mut self, stage: &mut dyn Stage, places: &BTreeMap<i32, Place>, offset: i64) {
        let incarnations = incarnations(places);
        if incarnations.is_empty() || !stage.begin_snapshot() {
            return;
        }
        self.begun_at = Instant::now();
        let head = Head {
            format: FORMAT,
            offset,
            incarnations,
        };
        match begin_file(&self.unfinished(), &head) {
            Ok(file) => {
                self.writing = Some(Writing {
                    file,
                    offset,
                    bytes: 0,
                });
            }
            Err(error) => self.give_up(stage, &error),
        }
    }

    /// Writes the next part of a snapshot that has begun; true while one has.
    pub(super) fn go_on(&mut self, stage: &mut dyn Stage) -> bool {
        let Some(writing) = &mut self.writing else {
            return false;
        };
        let mut part = Vec::with_capacity(PART);
        let is_last = stage.snapshot_part(PART, &mut part);
        if let Err(error) = writing.add(&part, is_last) {
            self.give_up(stage, &error);
            return false;
        }
        if is_last && let Some(writing) = self.writing.take() {
            let (offset, bytes) = (writing.offset, writing.bytes);
            drop(writing);
            if let Err(error) = std::fs::rename(self.unfinished(), &self.path) {
                self.give_up(stage, &error);
                return false;
            }
            self.offset = Some(offset);
            let seconds = self.begun_at.elapsed().as_secs_f64();
            tracing::info!(
                stage = self.name,
                offset,
                bytes,
                seconds,
                "a snapshot was written"
            );
        }
        !is_last
    }

    /// Writes one at once, if something is new; as [`begin_if_due`](Self::begin_if_due) otherwise.
    pub(super) fn write_whole(
        &mut self,
        stage: &mut dyn Stage,
        places: &BTreeMap<i32, Place>,
        offset: i64,
    ) {
        if self.writing.take().is_some() {
            stage.end_snapshot();
        }
        if self.offset.is_none_or(|last| last < offset) {
            self.begin(stage, places, offset);
            while self.go_on(stage) {}
        }
    }

    fn give_up(&mut self, stage: &mut dyn Stage, error: &io::Error) {
        self.writing = None;
        stage.end_snapshot();
        let path = self.path.display();
        tracing::warn!(stage = self.name, %path, %error, "no snapshot can be written: a start will read the log for longer");
    }

    fn unfinished(&self) -> PathBuf {
        self.path.with_extension("snapshot.part")
    }
}

impl Writing {
    fn add(&mut self, part: &[u8], is_last: bool) -> io::Result<()> {
        self.bytes += part.len();
        if !part.is_empty() {
            write_frame(&mut self.file, part)?;
        }
        if is_last {
            write_frame(&mut self.file, &[])?;
            self.file.flush()?;
        }
        Ok(())
    }
}

impl Head {
    fn is_usable(
        &self,
        incarnations: &BTreeMap<i32, String>,
        decided: i64,
    ) -> Result<(), &'static str> {
        let mut both = (self.incarnations.iter())
            .filter_map(|(partition, ours)| Some((ours, incarnations.get(partition)?)))
            .peekable();
        if both.peek().is_none() {
            return Err("it was made with other partitions");
        }
        if both.any(|(one, other)| one != other) {
            return Err("it is of another Kafka, or its topics were made anew");
        }
        if self.offset > decided {
            return Err("a partition that was another processor's was not decided so far");
        }
        Ok(())
    }
}

fn incarnations(places: &BTreeMap<i32, Place>) -> BTreeMap<i32, String> {
    let known = places.iter().filter(|(_, place)| !place.announce);
    known
        .map(|(partition, place)| (*partition, place.checkpoint.incarnation.clone()))
        .collect()
}

fn begin_file(path: &Path, head: &Head) -> io::Result<BufWriter<File>> {
    let mut file = BufWriter::with_capacity(PART, File::create(path)?);
    let head = postcard::to_stdvec(head).map_err(io::Error::other)?;
    write_frame(&mut file, &head)?;
    Ok(file)
}

fn write_frame(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&xxh3_64(bytes).to_le_bytes())?;
    to.write_all(bytes)
}

fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    let (mut length, mut hash) = ([0; 4], [0; 8]);
    from.read_exact(&mut length)?;
    from.read_exact(&mut hash)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST_FRAME {
        return Err(damaged());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    if xxh3_64(&bytes) != u64::from_le_bytes(hash) {
        return Err(damaged());
    }
    Ok(bytes)
}

fn read_head(from: &mut impl Read) -> io::Result<Head> {
    let frame = read_frame(from)?;
    let other = || io::Error::new(io::ErrorKind::InvalidData, "another version wrote it");
    // Whatever else changes, the format comes first.
    match postcard::take_from_bytes::<u32>(&frame) {
        Ok((FORMAT, _)) => postcard::from_bytes(&frame).map_err(|_| other()),
        _ => Err(other()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(offset: i64, incarnations: &[(i32, &str)]) -> Head {
        Head {
            format: FORMAT,
            offset,
            incarnations: known(incarnations),
        }
    }

    fn known(incarnations: &[(i32, &str)]) -> BTreeMap<i32, String> {
        (incarnations.iter())
            .map(|(partition, incarnation)| (*partition, (*incarnation).to_owned()))
            .collect()
    }

    #[test]
    fn one_that_knows_more_than_was_decided_or_is_of_another_changelog_is_not_used() {
        let head = head(7, &[(0, "a"), (1, "b")]);
        for (places, decided, usable) in [
            (&[(0, "a"), (1, "b")][..], 7, true),
            (&[(1, "b"), (2, "c")], 9, true),
            (&[(0, "a"), (1, "b")], 6, false),
            (&[(2, "c")], 9, false),
            (&[(0, "a"), (1, "x")], 9, false),
            (&[], 9, false),
        ] {
            let is_usable = head.is_usable(&known(places), decided);
            assert_eq!(is_usable.is_ok(), usable, "{places:?} {decided}");
        }
    }

    #[test]
    fn a_file_that_is_damaged_cut_short_or_of_another_version_is_not_read() {
        let head = head(7, &[(0, "a")]);
        let mut file = Vec::new();
        write_frame(&mut file, &postcard::to_stdvec(&head).expect("plain")).expect("memory");
        write_frame(&mut file, b"rows").expect("memory");
        let mut reader = file.as_slice();
        assert_eq!(read_head(&mut reader).expect("a head"), head);
        assert_eq!(read_frame(&mut reader).expect("a part"), b"rows");
        assert!(
            read_frame(&mut reader).is_err(),
            "the last frame is missing"
        );
        for place in 0..file.len() {
            let mut damaged = file.clone();
            damaged[place] ^= 1;
            let mut reader = damaged.as_slice();
            let read = read_head(&mut reader).and_then(|_| read_frame(&mut reader));
            assert!(read.is_err(), "byte {place}");
        }
        let mut other = Vec::new();
        let newer = Head {
            format: FORMAT + 1,
            ..head
        };
        write_frame(&mut other, &postcard::to_stdvec(&newer).expect("plain")).expect("memory");
        let error = read_head(&mut other.as_slice()).expect_err("of another version");
        assert!(error.to_string().contains("another version"), "{error}");
    }
}
