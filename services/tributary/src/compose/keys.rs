//! Write keys of a system for which no source is configured: made once, kept in the data folder.

use crate::exit::Failure;
use std::collections::BTreeMap;
use std::path::Path;
use tributary_platform::config::{Config, Secret};
use tributary_platform::endpoints::write_private;

const FILE: &str = "keys.json";

/// Completes `config.sources` with the keys that were made before, if there are any: for a service beside a running
/// system.
pub(crate) fn recall(config: &mut Config) -> Result<(), Failure> {
    match config.sources.is_empty() && config.data.join(FILE).exists() {
        true => complete(config).map(|_| ()),
        false => Ok(()),
    }
}

/// Completes `config.sources` when none is configured, and returns a write key to show.
pub(crate) fn complete(config: &mut Config) -> Result<Option<Secret>, Failure> {
    if config.sources.is_empty() {
        let path = config.data.join(FILE);
        let mut keys = read(&path)?;
        let known = keys.len();
        let sources = config.default_sources(|name| {
            let key = keys.entry(name.to_owned());
            Secret::new(
                key.or_insert_with(|| uuid::Uuid::new_v4().simple().to_string())
                    .clone(),
            )
        });
        if keys.len() > known {
            let text = serde_json::to_vec_pretty(&keys).expect("a map of strings is JSON");
            write_private(&path, &text).map_err(|error| {
                Failure::failed(format!("cannot write {}: {error}", path.display()))
            })?;
        }
        config.sources = sources;
    }
    Ok(config
        .sources
        .iter()
        .flat_map(|source| &source.write_keys)
        .next()
        .cloned())
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| {
            let path = path.display();
            Failure::usage(format!(
                "{path} is no JSON object of names and keys: correct it, or remove it for new keys"
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Failure::failed(format!(
            "cannot read {}: {error}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn config(folder: &Path) -> Config {
        Config {
            data: folder.to_owned(),
            ..Config::default()
        }
    }

    #[test]
    fn keys_are_made_once_and_only_the_owner_can_read_them() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let (mut first, mut second) = (config(folder.path()), config(folder.path()));
        let shown = complete(&mut first)
            .expect("the folder is writable")
            .expect("there is a key");
        complete(&mut second).expect("the folder is readable");
        assert_eq!(first.sources, second.sources);
        assert_eq!(shown, first.sources[0].write_keys[0]);
        assert_ne!(first.sources[0].write_keys, first.sources[1].write_keys);
        let mode = std::fs::metadata(folder.path().join(FILE))
            .expect("it is written")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn configured_sources_are_left_alone() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let mut config = config(folder.path());
        config.sources = config.default_sources(|_| Secret::new("configured"));
        let shown = complete(&mut config).expect("nothing is written");
        assert_eq!(shown, Some(Secret::new("configured")));
        assert!(!folder.path().join(FILE).exists());
    }
}
