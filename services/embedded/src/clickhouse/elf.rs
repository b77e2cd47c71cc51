//! Is the whole library there? `dlopen` maps a file without reading it, and the first access beyond the end of a
//! truncated one ends the process with SIGBUS, which nobody can explain to a user.

use super::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const HEADER: usize = 64;

/// Checks that the file exists, is a 64-bit shared object for this machine, and ends where its section headers end.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let mut file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::LibraryMissing {
            path: path.to_owned(),
        },
        _ => Error::LibraryUnreadable {
            path: path.to_owned(),
            source,
        },
    })?;
    let unreadable = |source| Error::LibraryUnreadable {
        path: path.to_owned(),
        source,
    };
    let length = file.metadata().map_err(unreadable)?.len();
    let mut header = [0; HEADER];
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Error::LibraryTruncated {
                path: path.to_owned(),
                length,
                expected: HEADER as u64,
            });
        }
        Err(error) => return Err(unreadable(error)),
    }
    let unusable = |reason: &str| Error::LibraryUnusable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if header[..4] != *b"\x7fELF" || header[4] != 2 || header[5] != 1 {
        return Err(unusable("it is no 64-bit little-endian ELF file"));
    }
    if number::<2>(&header, 18) != machine() {
        return Err(unusable("it is built for another processor"));
    }
    // The section header table is the last thing in the file.
    let table = number::<8>(&header, 40);
    let size = number::<2>(&header, 58) * number::<2>(&header, 60);
    let expected = table.saturating_add(size);
    if expected > length {
        return Err(Error::LibraryTruncated {
            path: path.to_owned(),
            length,
            expected,
        });
    }
    Ok(())
}

fn machine() -> u64 {
    if cfg!(target_arch = "aarch64") {
        183
    } else {
        62
    }
}

fn number<const N: usize>(header: &[u8; HEADER], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes[..N].copy_from_slice(&header[at..at + N]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("written");
        file
    }

    fn own_binary() -> Vec<u8> {
        std::fs::read(std::env::current_exe().expect("a path")).expect("readable")
    }

    #[test]
    fn a_whole_object_of_this_machine_passes() {
        let file = written(&own_binary());
        check(file.path()).expect("the test's own binary is whole");
    }

    #[test]
    fn a_truncated_object_is_named_with_both_lengths() {
        let whole = own_binary();
        for kept in [whole.len() - 1, whole.len() / 2, 64, 10, 0] {
            let file = written(&whole[..kept]);
            match check(file.path()) {
                Err(Error::LibraryTruncated {
                    length, expected, ..
                }) => {
                    assert_eq!(length, kept as u64);
                    assert!(expected > length);
                }
                other => panic!("{kept} bytes of it: {other:?}"),
            }
        }
    }

    #[test]
    fn a_missing_file_and_other_files_are_told_apart() {
        let missing = check(Path::new("/nowhere/libchdb.so"));
        assert!(
            matches!(missing, Err(Error::LibraryMissing { .. })),
            "{missing:?}"
        );
        let script = check(written(&[b'#'; 100]).path());
        assert!(
            matches!(script, Err(Error::LibraryUnusable { .. })),
            "{script:?}"
        );
        let mut foreign = own_binary();
        foreign[18] = 8;
        let foreign = check(written(&foreign).path());
        assert!(
            matches!(foreign, Err(Error::LibraryUnusable { .. })),
            "{foreign:?}"
        );
    }
}
