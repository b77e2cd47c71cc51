use super::*;

fn checkpoint(offset: i64) -> Checkpoint {
    Checkpoint {
        offset,
        incarnation: "log".to_owned(),
    }
}

fn scanned(store: &Store, partition: i32, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    store
        .scan(partition, prefix.as_bytes(), &mut |key, value| {
            found.push(format!(
                "{}={}",
                String::from_utf8_lossy(key),
                String::from_utf8_lossy(value)
            ));
            Ok::<_, Error>(())
        })
        .expect("a temporary folder can be read");
    found
}

fn walked(store: &Store, partition: i32, prefix: &str) -> Vec<String> {
    let (mut found, mut last) = (Vec::new(), prefix.as_bytes().to_vec());
    while let Some(key) = store
        .next_key(partition, prefix.as_bytes(), &last)
        .expect("a temporary folder can be read")
    {
        found.push(String::from_utf8_lossy(&key).into_owned());
        last = key;
    }
    found
}

fn open(folder: &Path) -> Store {
    Store::open(folder, 1 << 20).expect("a temporary folder can be written")
}

#[test]
fn what_was_put_is_read_before_amid_and_after_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.assign(&[0, 1]).unwrap();
    store.put(0, b"a1", Some(b"old"));
    store.put(0, b"a2", Some(b"gone"));
    store.put(0, b"a3", Some(b"kept"));
    store.put(1, b"a4", Some(b"elsewhere"));
    store
        .checkpoint(&BTreeMap::from([(0, checkpoint(4)), (1, checkpoint(1))]))
        .unwrap();
    store.put(0, b"a1", Some(b"new"));
    store.put(0, b"a2", None);
    store.put(0, b"a0", Some(b"first"));
    store.put(0, b"b", Some(b"behind"));
    let (expected, keys) = (["a0=first", "a1=new", "a3=kept"], ["a0", "a1", "a3"]);
    assert_eq!(scanned(&store, 0, "a"), expected, "amid");
    assert_eq!(walked(&store, 0, "a"), keys, "amid");
    store.wait().unwrap();
    assert_eq!(scanned(&store, 0, "a"), expected, "after the first");
    assert_eq!(walked(&store, 0, "a"), keys, "after the first");
    assert_eq!(store.get(0, b"a2").unwrap(), None);
    store
        .checkpoint(&BTreeMap::from([(0, checkpoint(7))]))
        .unwrap();
    store.wait().unwrap();
    assert_eq!(scanned(&store, 0, "a"), expected, "after the second");
    assert_eq!(walked(&store, 0, "a"), keys, "after the second");
    assert_eq!(walked(&store, 0, "c"), [""; 0]);
    assert_eq!(scanned(&store, 1, ""), ["a4=elsewhere"]);
}

#[test]
fn a_new_process_finds_the_last_checkpoint_and_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.assign(&[0]).unwrap();
    store.put(0, b"key", Some(b"written"));
    store
        .checkpoint(&BTreeMap::from([(0, checkpoint(3))]))
        .unwrap();
    store.wait().unwrap();
    store.put(0, b"key", Some(b"only in memory"));
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(
        store.assign(&[0, 1]).unwrap(),
        BTreeMap::from([(0, Some(checkpoint(3))), (1, None)])
    );
    assert_eq!(
        store.get(0, b"key").unwrap().as_deref(),
        Some(b"written".as_slice())
    );
}

#[test]
fn a_discarded_partition_is_empty_and_has_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.assign(&[0, 1]).unwrap();
    store.put(0, b"key", Some(b"value"));
    store.put(1, b"key", Some(b"value"));
    store
        .checkpoint(&BTreeMap::from([(0, checkpoint(3)), (1, checkpoint(5))]))
        .unwrap();
    store.wait().unwrap();
    store.discard(0).unwrap();
    assert_eq!(scanned(&store, 0, ""), Vec::<String>::new());
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(
        store.assign(&[0, 1]).unwrap(),
        BTreeMap::from([(0, None), (1, Some(checkpoint(5)))])
    );
    assert_eq!(scanned(&store, 0, ""), Vec::<String>::new());
    assert_eq!(scanned(&store, 1, ""), ["key=value"]);
}

#[test]
fn a_store_older_than_the_changelogs_tombstones_counts_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.assign(&[0]).unwrap();
    store.put(0, b"key", Some(b"value"));
    store
        .checkpoint(&BTreeMap::from([(0, checkpoint(3))]))
        .unwrap();
    store.wait().unwrap();
    let old = Stored {
        checkpoint: checkpoint(3),
        written_at_ms: now_ms() - OLDEST_STORE.as_millis() as u64 - 1,
    };
    store
        .checkpoints
        .insert(0_i32.to_be_bytes(), serde_json::to_vec(&old).unwrap())
        .unwrap();
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(store.assign(&[0]).unwrap(), BTreeMap::from([(0, None)]));
    assert_eq!(scanned(&store, 0, ""), Vec::<String>::new());
}

#[test]
fn a_store_that_cannot_be_read_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.assign(&[0]).unwrap();
    store.put(0, b"key", Some(b"value"));
    store
        .checkpoint(&BTreeMap::from([(0, checkpoint(3))]))
        .unwrap();
    store.wait().unwrap();
    drop(store);
    std::fs::write(folder.path().join("version"), b"not fjall's").unwrap();
    let mut store = open(folder.path());
    assert_eq!(store.assign(&[0]).unwrap(), BTreeMap::from([(0, None)]));
}

#[test]
fn a_folder_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _holder = open(folder.path());
    let error = Store::open(folder.path(), 1 << 20).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    for error in [
        fjall::Error::Io(full()),
        fjall::Error::Storage(fjall::LsmError::Io(full())),
    ] {
        let error = failed(Path::new("folder"), error);
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    }
    let error = failed(Path::new("folder"), fjall::Error::Poisoned);
    assert!(matches!(error, Error::Failed { .. }), "{error}");
}
