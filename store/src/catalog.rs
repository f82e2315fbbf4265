//! Tables for projections, in sled: rebuildable, never truth. The only file that knows sled.
//!
//! sled's flush is no fsync and its format may break, so nothing here is believed without the log: each
//! follower's cursor is stored in the same batch as its tables, and a catalog that does not read is
//! deleted and rebuilt.

use custos_event::{CommitNo, Cursor};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Of the layout below; another one is rebuilt, not read.
const LAYOUT: &[u8] = b"custos-catalog 1";
const LAYOUT_KEY: &[u8] = b"\x00layout";
const CURSORS: &str = "\u{1}cursor";
/// 32 MiB of pages: the hot part of a console's tables; the rest is read from the disk.
const CACHE_BYTES: u64 = 32 << 20;

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Delete it ([`Catalog::delete`]) and rebuild the projections from the log.
    #[error("the catalog in {} does not read: {reason}; run 'custos rebuild'", path.display())]
    Damaged { path: PathBuf, reason: String },
    /// The disk refused; the catalog may be sound.
    #[error("cannot use the catalog in {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Named tables of bytes.
#[derive(Clone, Debug)]
pub struct Catalog {
    db: sled::Db,
    path: PathBuf,
}

/// Writes that happen together.
#[derive(Debug, Default)]
pub struct Batch(sled::Batch);

impl Batch {
    pub fn put(&mut self, table: &str, key: &[u8], value: &[u8]) {
        self.0.insert(full_key(table, key), value);
    }

    pub fn remove(&mut self, table: &str, key: &[u8]) {
        self.0.remove(full_key(table, key));
    }
}

/// Name, a zero byte, key: one tree holds all tables, because a batch of sled is of one tree.
fn full_key(table: &str, key: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], key].concat()
}

/// sled's threads give its lock free a little after the last handle was dropped: within milliseconds, so a
/// second in all is plenty. The folder's own lock already keeps other processes out.
const LOCK_TRIES_MAX: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

fn is_locked(opened: &sled::Result<sled::Db>) -> bool {
    opened.as_ref().is_err_and(|error| error.to_string().contains("could not acquire lock"))
}

impl Catalog {
    /// Opens or makes the catalog in `dir/catalog`.
    pub fn open(dir: &Path) -> Result<Self, CatalogError> {
        let path = dir.join("catalog");
        let damaged = |reason: String| CatalogError::Damaged { path: path.clone(), reason };
        let config = sled::Config::new().path(&path).cache_capacity(CACHE_BYTES);
        // sled panics on some damaged files.
        let open = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()));
        let mut opened = open();
        for _ in 0..LOCK_TRIES_MAX {
            if !opened.as_ref().is_ok_and(is_locked) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            opened = open();
        }
        let opened = opened.map_err(|_| damaged("sled panicked while opening it".into()))?;
        let catalog = Self { db: opened.map_err(|e| wrap(&path, e))?, path: path.clone() };
        match catalog.db.get(LAYOUT_KEY).map_err(|e| wrap(&path, e))? {
            Some(layout) if layout == LAYOUT => {}
            Some(_) => return Err(damaged("it has another layout".into())),
            None if catalog.db.is_empty() => {
                catalog.db.insert(LAYOUT_KEY, LAYOUT).map_err(|e| wrap(&path, e))?;
            }
            None => return Err(damaged("it does not name its layout".into())),
        }
        Ok(catalog)
    }

    /// Removes the catalog from `dir`, sound or not. Nothing may have it open.
    pub fn delete(dir: &Path) -> Result<(), CatalogError> {
        let path = dir.join("catalog");
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(CatalogError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, CatalogError> {
        let value = self.db.get(full_key(table, key)).map_err(|e| wrap(&self.path, e))?;
        Ok(value.map(|value| value.to_vec()))
    }

    pub fn put(&self, table: &str, key: &[u8], value: &[u8]) -> Result<(), CatalogError> {
        self.db.insert(full_key(table, key), value).map_err(|e| wrap(&self.path, e))?;
        Ok(())
    }

    pub fn remove(&self, table: &str, key: &[u8]) -> Result<(), CatalogError> {
        self.db.remove(full_key(table, key)).map_err(|e| wrap(&self.path, e))?;
        Ok(())
    }

    /// Keys and values of a table whose keys begin with `prefix`, in the order of keys; from the last one
    /// with `.rev()`.
    pub fn scan(
        &self,
        table: &str,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Vec<u8>, Vec<u8>), CatalogError>> {
        let (path, name_len) = (self.path.clone(), table.len() + 1);
        self.db.scan_prefix(full_key(table, prefix)).map(move |row| {
            let (key, value) = row.map_err(|e| wrap(&path, e))?;
            Ok((key.get(name_len..).unwrap_or_default().to_vec(), value.to_vec()))
        })
    }

    /// How far a follower's tables go; the start for a new one. A cursor beyond `last_commit` is of
    /// another log than this one: [`CatalogError::Damaged`].
    pub fn cursor(&self, follower: &str, last_commit: CommitNo) -> Result<Cursor, CatalogError> {
        let Some(json) = self.get(CURSORS, follower.as_bytes())? else {
            return Ok(Cursor::default());
        };
        let damaged = |reason| CatalogError::Damaged { path: self.path.clone(), reason };
        let cursor: Cursor = serde_json::from_slice(&json)
            .map_err(|e| damaged(format!("cursor {follower}: {e}")))?;
        if cursor.commit() > last_commit {
            let at = cursor.commit();
            return Err(damaged(format!("{follower} is at commit {at}, the log at {last_commit}")));
        }
        Ok(cursor)
    }

    /// Saves a follower's writes and its cursor, both or neither.
    pub fn save(
        &self,
        follower: &str,
        cursor: &Cursor,
        mut batch: Batch,
    ) -> Result<(), CatalogError> {
        let json = serde_json::to_vec(cursor).map_err(std::io::Error::from);
        let json = json.map_err(|source| CatalogError::Io { path: self.path.clone(), source })?;
        batch.put(CURSORS, follower.as_bytes(), &json);
        self.db.apply_batch(batch.0).map_err(|e| wrap(&self.path, e))
    }

    /// Writes to the disk what is in memory; without it sled does so twice a second.
    pub fn flush(&self) -> Result<(), CatalogError> {
        self.db.flush().map(|_| ()).map_err(|e| wrap(&self.path, e))
    }
}

fn wrap(path: &Path, error: sled::Error) -> CatalogError {
    let path = path.to_path_buf();
    let reason = error.to_string();
    match error {
        sled::Error::Io(source) => CatalogError::Io { path, source },
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. } => CatalogError::Damaged { path, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_the_cursor_are_saved_together_and_tables_are_apart() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::after(CommitNo(7));
        {
            let catalog = Catalog::open(dir.path()).unwrap();
            let mut batch = Batch::default();
            batch.put("alerts", b"a1", b"x");
            batch.put("alerts", b"a2", b"y");
            batch.put("alerts2", b"a3", b"z");
            catalog.save("alerts", &cursor, batch).unwrap();
            let mut batch = Batch::default();
            batch.remove("alerts", b"a1");
            catalog.save("alerts", &cursor, batch).unwrap();
        }
        let catalog = Catalog::open(dir.path()).unwrap();
        assert_eq!(catalog.get("alerts", b"a1").unwrap(), None);
        let rows: Vec<_> = catalog.scan("alerts", b"").map(Result::unwrap).collect();
        assert_eq!(rows, [(b"a2".to_vec(), b"y".to_vec())]);
        assert_eq!(catalog.cursor("alerts", CommitNo(7)).unwrap(), cursor);
        assert_eq!(catalog.cursor("other", CommitNo(7)).unwrap(), Cursor::default());
        let ahead = catalog.cursor("alerts", CommitNo(6));
        assert!(matches!(ahead, Err(CatalogError::Damaged { .. })), "{ahead:?}");
    }

    #[test]
    fn one_row_is_put_and_removed_and_a_prefix_scanned_from_either_end() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path()).unwrap();
        for key in ["a1", "a2", "b1"] {
            catalog.put("t", key.as_bytes(), b"x").unwrap();
        }
        let keys = |prefix: &[u8]| -> Vec<String> {
            let rows = catalog.scan("t", prefix).map(Result::unwrap);
            rows.map(|(key, _)| String::from_utf8(key).unwrap()).collect()
        };
        assert_eq!(keys(b"a"), ["a1", "a2"]);
        let last = catalog.scan("t", b"").next_back().unwrap().unwrap();
        assert_eq!(last, (b"b1".to_vec(), b"x".to_vec()));
        catalog.remove("t", b"a1").unwrap();
        catalog.remove("t", b"nothing").unwrap();
        assert_eq!(keys(b""), ["a2", "b1"]);
        assert_eq!(catalog.get("t", b"a1").unwrap(), None);
    }

    #[test]
    fn a_catalog_of_another_layout_or_broken_is_to_be_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        {
            let catalog = Catalog::open(dir.path()).unwrap();
            catalog.db.insert(LAYOUT_KEY, b"custos-catalog 9").unwrap();
        }
        let opened = Catalog::open(dir.path());
        assert!(matches!(opened, Err(CatalogError::Damaged { .. })), "{opened:?}");
        drop(opened);
        std::fs::write(dir.path().join("catalog/conf"), b"garbage").unwrap();
        assert!(Catalog::open(dir.path()).is_err());
        Catalog::delete(dir.path()).unwrap();
        assert!(Catalog::open(dir.path()).is_ok());
    }
}
