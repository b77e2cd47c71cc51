//! Formats the data folder on first use, with Kafka's own tool.

use super::{ClassPath, Error, Files};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Formats a new folder and renames it into place: a kill in between leaves nothing half done.
pub(super) async fn format_once(
    java: &Path,
    class_path: &ClassPath,
    files: &Files,
) -> Result<(), Error> {
    if files.data.join("meta.properties").is_file() {
        return Ok(());
    }
    let error = |cause| files.error("format the log folder", cause);
    let unfinished = files.folder.join("log.unfinished");
    let properties = files.folder.join("format.properties");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(error)?;
    }
    let server = fs::read_to_string(&files.properties).map_err(error)?;
    let elsewhere = format!("{server}log.dirs={}\n", unfinished.display());
    fs::write(&properties, elsewhere).map_err(error)?;
    let status = files
        .command(java, class_path)
        .and_then(|mut command| {
            command
                .args(["kafka.tools.StorageTool", "format", "-t"])
                .arg(cluster_id()?)
                .arg("-c")
                .arg(&properties)
                .spawn()
        })
        .map_err(error)?
        .wait()
        .await
        .map_err(error)?;
    if !status.success() {
        return Err(Error::Format {
            folder: files.folder.clone(),
            output: fs::read_to_string(&files.output)
                .unwrap_or_default()
                .trim()
                .to_owned(),
        });
    }
    fs::rename(&unfinished, &files.data).map_err(error)?;
    fs::remove_file(&properties).map_err(error)
}

fn cluster_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(written(u128::from_be_bytes(bytes)))
}

/// A random number as Kafka writes UUIDs. Without its upper bit it begins with a letter: Kafka's
/// tools take an id that begins with `-` for an option, and Kafka itself makes none either.
fn written(random: u128) -> String {
    base64_url(random & (u128::MAX >> 1))
}

/// 16 bytes in base64 for URLs, without padding.
fn base64_url(number: u128) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 128 bits are 21 characters of 6 bits and one that holds the last 2 in its upper bits.
    let upper = (0..21).map(|place| number >> (122 - 6 * place) & 63);
    let last = (number & 3) << 4;
    upper
        .chain([last])
        .map(|six_bits| char::from(ALPHABET[usize::try_from(six_bits).expect("below 64")]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_written_as_kafka_writes_uuids() {
        assert_eq!(base64_url(0), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(base64_url(u128::MAX), "_____________________w");
        let bytes = u128::from_be_bytes(*b"abcdefghijklmnop");
        assert_eq!(base64_url(bytes), "YWJjZGVmZ2hpamtsbW5vcA");
    }

    #[test]
    fn a_cluster_id_is_never_taken_for_an_option() {
        for first in 0..=u8::MAX {
            let id = written(u128::from(first) << 120);
            assert!(
                id.starts_with(|first: char| first.is_ascii_alphabetic()),
                "{id}"
            );
        }
    }
}
