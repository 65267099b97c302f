//! A restore that fails leaves no files.

use std::io;

use super::super::restore::RestoreError;
use super::*;
use crate::store::backup::BackupError;

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_restore_that_fails_leaves_the_directory_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let [new, empty, full, served] =
        ["new", "empty", "full", "served"].map(|name| folder.path().join(name));
    let broken = || std::iter::once(Err(BackupError::Io(io::Error::other("broken"))));
    fs::create_dir(&empty).unwrap();
    fs::create_dir(&full).unwrap();
    fs::write(full.join("recordings.new"), "of another program").unwrap();
    fs::write(full.join("notes"), "").unwrap();
    drop(RedbStore::open(&served).unwrap());
    for directory in [&new, &empty] {
        let error = RedbStore::restore(directory, broken()).unwrap_err();
        assert!(matches!(error, RestoreError::Backup(_)), "{error:?}");
    }
    for directory in [&full, &served] {
        let error = RedbStore::restore(directory, broken()).unwrap_err();
        assert!(matches!(error, RestoreError::NotEmpty(_)), "{error:?}");
    }
    assert!(!new.exists());
    assert_eq!(files(&empty), [""; 0]);
    assert_eq!(files(&full), ["notes", "recordings.new"]);
    assert_eq!(files(&served), ["lock", "recordings.redb"]);
    // The lock of a store that is in use stays.
    let open = RedbStore::open(&served).unwrap();
    assert!(RedbStore::restore(&served, broken()).is_err());
    assert_eq!(files(&served), ["lock", "recordings.redb"]);
    drop(open);
    assert_eq!(RedbStore::restore(&empty, std::iter::empty()).unwrap(), 0);
    assert_eq!(RedbStore::restore(&new, std::iter::empty()).unwrap(), 0);
}
