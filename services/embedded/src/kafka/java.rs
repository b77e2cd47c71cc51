//! Finds a JVM that is new enough.

use super::Error;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Kafka 4's brokers are compiled for Java 17.
const OLDEST: u32 = 17;

/// `$JAVA_HOME/bin/java` if that is set, else the `java` of the search path.
pub(super) async fn find() -> Result<PathBuf, Error> {
    let java = match std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Path::new(&home).join("bin").join("java"),
        None => in_search_path().ok_or(Error::NoJava)?,
    };
    check(java).await
}

fn in_search_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("java"))
        .find(|java| java.is_file())
}

async fn check(java: PathBuf) -> Result<PathBuf, Error> {
    let found = match Command::new(&java).arg("-version").output().await {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::NoJava),
        Err(error) => error.to_string(),
    };
    match major_version(&found) {
        Some(version) if version >= OLDEST => Ok(java),
        _ => Err(Error::OldJava {
            java,
            found: found.lines().next().unwrap_or("nothing").to_owned(),
        }),
    }
}

/// From `openjdk version "17.0.15" 2025-04-15`, or `"1.8.0_392"` of the old counting.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn versions_of_all_countings_are_read() {
        for (text, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("openjdk version \"26-ea\" 2026-03-17", Some(26)),
            ("java version \"1.8.0_392\"", Some(8)),
            ("Unable to locate a Java Runtime", None),
        ] {
            assert_eq!(major_version(text), version, "{text}");
        }
    }

    #[tokio::test]
    async fn an_old_java_is_refused_with_the_command_that_installs_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let java = folder.path().join("java");
        std::fs::write(&java, "#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n").unwrap();
        std::fs::set_permissions(&java, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = check(java).await.unwrap_err().to_string();
        assert!(
            error.contains("11.0.2") && error.contains("apt-get install"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn without_a_java_the_error_says_how_to_get_one() {
        let error = check(PathBuf::from("/nowhere/bin/java")).await.unwrap_err();
        assert!(matches!(error, Error::NoJava), "{error}");
    }
}
