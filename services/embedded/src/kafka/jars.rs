//! The jars in the user's cache folder, as `runtime/kafka/jars.lock` lists them.

use super::{ClassPath, Error};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `sha256 size name` of each; `setup.sh` checks the digests once, we the sizes at each start.
const LOCK: &str = include_str!("../../runtime/kafka/jars.lock");

/// All jars, checked, in the order of the lock file: an archive of loaded classes fits one order only.
pub(super) fn class_path(folder: Option<&Path>) -> Result<ClassPath, Error> {
    let folder = match folder {
        Some(folder) => folder.to_owned(),
        None => cache().join("libs"),
    };
    let unusable = |problem| Error::Jars {
        folder: folder.clone(),
        problem,
    };
    let mut jars = OsString::new();
    for (size, name) in locked() {
        let path = folder.join(name);
        match path.metadata().map(|metadata| metadata.len()) {
            Err(_) => return Err(unusable(format!("{name} is missing"))),
            Ok(found) if found != size => {
                return Err(unusable(format!(
                    "{name} has {found} bytes instead of {size}"
                )));
            }
            Ok(_) => {}
        }
        if !jars.is_empty() {
            jars.push(":");
        }
        jars.push(path);
    }
    Ok(ClassPath {
        jars,
        options: class_archive(&folder),
    })
}

/// `tributary/kafka` in `$XDG_CACHE_HOME`, or in `~/.cache`.
fn cache() -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache =
        set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").unwrap_or_default().join(".cache"));
    cache.join("tributary").join("kafka")
}

fn locked() -> impl Iterator<Item = (u64, &'static str)> {
    LOCK.lines().filter_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        Some((columns.next()?.parse().ok()?, columns.next()?))
    })
}

/// `setup.sh` leaves an archive of Kafka's classes, parsed and verified, beside the jars: the broker starts in half
/// the time. A JVM that cannot use it, such as a newer one, starts without.
fn class_archive(folder: &Path) -> Vec<OsString> {
    let archive = folder.join("classes.jsa");
    match archive.is_file() {
        true => {
            let mut option = OsString::from("-XX:SharedArchiveFile=");
            option.push(archive);
            vec![
                option,
                OsString::from("-Xshare:auto"),
                OsString::from("-Xlog:cds=off"),
                OsString::from("-Xlog:cds+dynamic=off"),
            ]
        }
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// Sparse files of the right sizes.
    fn folder_of_jars() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (size, name) in locked() {
            File::create(folder.path().join(name))
                .unwrap()
                .set_len(size)
                .unwrap();
        }
        folder
    }

    #[test]
    fn whole_jars_make_a_class_path() {
        let folder = folder_of_jars();
        let class_path = class_path(Some(folder.path())).unwrap();
        let jars = class_path.jars.into_string().unwrap();
        assert!(
            jars.contains("kafka_2.13-4.2.0.jar") && jars.contains("log4j-slf4j-impl"),
            "{jars}"
        );
    }

    #[test]
    fn a_missing_and_a_truncated_jar_are_named_with_the_fix() {
        let folder = folder_of_jars();
        let jar = folder.path().join("kafka-clients-4.2.0.jar");
        File::create(&jar).unwrap().set_len(10).unwrap();
        let truncated = class_path(Some(folder.path())).unwrap_err().to_string();
        std::fs::remove_file(&jar).unwrap();
        let missing = class_path(Some(folder.path())).unwrap_err().to_string();
        for (error, problem) in [(truncated, "has 10 bytes"), (missing, "is missing")] {
            for part in ["kafka-clients-4.2.0.jar", problem, "make setup"] {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}
