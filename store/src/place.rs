//! Folders that backups and restores make, fill and swap in; the rest of the disk is `disk`'s.

use crate::{disk::Disk, error::StoreError};
use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A folder that only Custos reads, durably; fine if it is there.
pub(crate) fn create_private_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), |parent| Disk::default().create_dir(parent))?;
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        // Somebody else made it; a file in its place is none.
        Err(e) if !(e.kind() == ErrorKind::AlreadyExists && dir.is_dir()) => {
            Err(StoreError::io("create folder", dir, e))
        }
        _ => parent.map_or(Ok(()), |parent| Disk::default().sync_dir(parent)),
    }
}

/// Whether a link stands there; false where nothing does.
pub(crate) fn is_link(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.file_type().is_symlink()),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(StoreError::io("examine", path, e)),
    }
}

/// True for no folder and for an empty one; a file or a link is neither.
pub(crate) fn is_free(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) => Err(StoreError::io("examine", path, e)),
        Ok(found) if found.is_dir() => Ok(Disk::default().list(path)?.is_empty()),
        Ok(_) => Ok(false),
    }
}

/// Removes a folder and all in it; fine if it is gone.
pub(crate) fn remove_tree(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", dir, e)),
        _ => Ok(()),
    }
}

/// Every plain file below `dir`, and every folder, synced.
pub(crate) fn files_synced(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for path in Disk::default().list(dir)? {
        if path.is_dir() && !is_link(&path)? {
            files.extend(files_synced(&path)?);
        } else {
            files.push(path);
        }
    }
    Disk::default().sync_dir(dir)?;
    Ok(files)
}

/// Puts a finished folder where an absent or empty one is expected, as one step.
pub(crate) fn swap_in(finished: &Path, dir: &Path) -> Result<(), StoreError> {
    fs::rename(finished, dir).map_err(|e| StoreError::io("put in place", dir, e))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), |parent| Disk::default().sync_dir(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_is_made_with_what_is_above_it_and_never_in_the_place_of_a_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        create_private_dir(&dir).unwrap();
        create_private_dir(&dir).unwrap();
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = root.path().join("file");
        fs::write(&file, b"").unwrap();
        for wrong in [file.clone(), file.join("below"), PathBuf::from("/proc/custos")] {
            let error = create_private_dir(&wrong).unwrap_err().to_string();
            assert!(error.contains("create folder"), "{error}");
        }
    }

    #[test]
    fn free_is_what_is_not_there_or_empty_and_no_link() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("full/inner")).unwrap();
        fs::create_dir(path("empty")).unwrap();
        fs::write(path("file"), b"").unwrap();
        std::os::unix::fs::symlink(path("empty"), path("link")).unwrap();
        let free = |name: &str| is_free(&path(name)).unwrap();
        assert!(free("nothing") && free("empty"));
        assert!(!free("full") && !free("file") && !free("link"));
        let link = |name: &str| is_link(&path(name)).unwrap();
        assert!(link("link") && !link("empty") && !link("nothing") && !link("file/below"));
        remove_tree(&path("full")).unwrap();
        remove_tree(&path("full")).unwrap();
        assert!(!path("full").exists());
    }

    #[test]
    fn every_file_below_is_listed_but_not_through_links() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        for name in ["x", "a/y", "a/b/z"] {
            fs::write(path(name), b"").unwrap();
        }
        std::os::unix::fs::symlink(path("a"), path("link")).unwrap();
        let mut found = files_synced(root.path()).unwrap();
        found.sort();
        assert_eq!(found, ["a/b/z", "a/y", "link", "x"].map(path));
    }
}
