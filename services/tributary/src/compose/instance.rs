//! The name of a process among all of its kind, for ever: so that after a crash it is given back its own partitions
//! and its own open transactions.

use crate::exit::Failure;
use std::path::Path;

const FILE: &str = "instance";

/// Kept in the data folder: whoever has that is the same instance.
pub(crate) fn of(data: &Path) -> Result<String, Failure> {
    let path = data.join(FILE);
    let cannot = |error| Failure::failed(format!("cannot keep {}: {error}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot(error)),
        _ => {}
    }
    let name = uuid::Uuid::new_v4().simple().to_string();
    std::fs::create_dir_all(data).map_err(cannot)?;
    tributary_platform::endpoints::write_private(&path, name.as_bytes()).map_err(cannot)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_name_for_ever() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let name = of(&one).expect("the folder is writable");
        assert_eq!(of(&one).expect("the folder is readable"), name);
        assert_ne!(of(&other).expect("the folder is writable"), name);
    }
}
