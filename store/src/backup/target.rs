//! Where backups lie: a folder, or a bucket that speaks S3. What is put there is never put over something else.
//! Calls block: not for async threads.

use crate::{error::StoreError, place};
use bytes::Bytes;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path as Key,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::runtime::Runtime;

/// What an S3 target needs beside its address; what is absent here is taken from the environment
/// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, `AWS_REGION`, …).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
}

impl std::fmt::Debug for S3Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Options").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// An object's name below the target, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// A place for backups.
pub struct Target {
    url: String,
    objects: Arc<dyn ObjectStore>,
    /// Before every name: the part of an S3 address behind the bucket.
    prefix: String,
    /// Set where the target is a folder.
    folder: Option<PathBuf>,
    runtime: Runtime,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Target {
    /// `file:///PATH`, a plain path, or `s3://BUCKET/PREFIX`. A folder is made only where `create` is set.
    pub fn open(url: &str, s3: &S3Options, create: bool) -> Result<Self, StoreError> {
        // Reads and writes go one after the other: one thread is enough.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|e| StoreError::io("start a thread for", Path::new(url), e))?;
        if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let objects = s3.build(bucket).map_err(|e| failed("open", url, e))?;
            let prefix = prefix.trim_matches('/').to_owned();
            return Ok(Self { url: url.into(), objects, prefix, folder: None, runtime });
        }
        let folder = folder_of(url)?;
        if create {
            place::create_private_dir(&folder)?;
        }
        let objects = LocalFileSystem::new_with_prefix(&folder);
        let objects = objects.map_err(|e| failed("open", url, e))?;
        let objects = objects.with_fsync(true).with_automatic_cleanup(true);
        let folder = Some(folder);
        let (url, prefix) = (url.to_owned(), String::new());
        Ok(Self { url, objects: Arc::new(objects), prefix, folder, runtime })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn key(&self, name: &str) -> Result<Key, StoreError> {
        let full =
            if self.prefix.is_empty() { name.into() } else { format!("{}/{name}", self.prefix) };
        Key::parse(&full).map_err(|e| failed("name", &format!("{}/{name}", self.url), e.into()))
    }

    /// A folder that others can write to may hold links: nothing is read through one.
    fn refuse_links(&self, name: &str) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut path = folder.clone();
        for part in name.split('/') {
            path.push(part);
            if place::is_link(&path)? {
                let reason = format!("{} is a link; backups hold plain files only", path.display());
                return Err(StoreError::Refused(reason));
            }
        }
        Ok(())
    }

    /// Stores bytes under a new name, durably; an error if the name is taken.
    pub(super) fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let key = self.key(name)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.objects.put_opts(&key, PutPayload::from(bytes), options);
        let put = self.runtime.block_on(put);
        put.map(drop).map_err(|e| failed("write", &format!("{}/{name}", self.url), e))
    }

    /// An object's bytes; `None` if there is none. Refuses one that is longer than `bytes_max`.
    pub(super) fn get(&self, name: &str, bytes_max: u64) -> Result<Option<Bytes>, StoreError> {
        self.refuse_links(name)?;
        let key = self.key(name)?;
        let place = format!("{}/{name}", self.url);
        let got = self.runtime.block_on(async {
            let found = self.objects.get(&key).await?;
            let too_long = found.meta.size > bytes_max;
            if too_long { Ok(None) } else { found.bytes().await.map(Some) }
        });
        match got {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => {
                Err(StoreError::Refused(format!("{place} is longer than {bytes_max} bytes")))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("read", &place, error)),
        }
    }

    /// What stands right below `name` (all of the target where it is empty): folders, then objects.
    pub(super) fn list(&self, name: &str) -> Result<(Vec<String>, Vec<Listed>), StoreError> {
        let key = match (name, self.prefix.as_str()) {
            ("", "") => None,
            ("", prefix) => Some(prefix.to_owned()),
            _ => Some(self.key(name)?.to_string()),
        };
        let key = key.map(|key| Key::parse(&key).map_err(|e| failed("list", &self.url, e.into())));
        let key = key.transpose()?;
        let listed = self.runtime.block_on(self.objects.list_with_delimiter(key.as_ref()));
        let listed = listed.map_err(|e| failed("list", &self.url, e))?;
        let below = |full: &str| {
            let name = full.strip_prefix(&self.prefix).unwrap_or(full);
            name.trim_start_matches('/').to_owned()
        };
        let mut folders: Vec<_> =
            listed.common_prefixes.iter().map(|prefix| below(prefix.as_ref())).collect();
        folders.sort();
        let object = |meta: &object_store::ObjectMeta| Listed {
            name: below(meta.location.as_ref()),
            bytes: meta.size,
        };
        Ok((folders, listed.objects.iter().map(object).collect()))
    }

    /// Fine if it is gone already.
    pub(super) fn delete(&self, name: &str) -> Result<(), StoreError> {
        let key = self.key(name)?;
        match self.runtime.block_on(self.objects.delete(&key)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", &format!("{}/{name}", self.url), error)),
        }
    }

    /// Deletes everything below a folder; how many bytes that were.
    pub(super) fn delete_folder(&self, name: &str) -> Result<u64, StoreError> {
        let (folders, objects) = self.list(name)?;
        let mut bytes = 0;
        for folder in folders {
            bytes += self.delete_folder(&folder)?;
        }
        for object in objects {
            self.delete(&object.name)?;
            bytes += object.bytes;
        }
        if let Some(folder) = &self.folder {
            // What a write that was killed left beside its object is in no list.
            self.refuse_links(name)?;
            place::remove_tree(&folder.join(self.key(name)?.as_ref()))?;
        }
        Ok(bytes)
    }
}

impl S3Options {
    fn build(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(id) = &self.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(secret) = &self.secret_access_key {
            builder = builder.with_secret_access_key(secret);
        }
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).unwrap_or_default();
        // Without TLS only to this machine itself.
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        if local.iter().any(|local| endpoint.starts_with(local)) {
            builder = builder.with_allow_http(true);
        }
        Ok(Arc::new(builder.build()?))
    }
}

fn folder_of(url: &str) -> Result<PathBuf, StoreError> {
    let path = match url.split_once("://") {
        None => url,
        Some(("file", path)) if path.starts_with('/') => path,
        Some(_) => {
            let expected = "expected file:///PATH, a path, or s3://BUCKET/PREFIX";
            return Err(StoreError::Refused(format!(
                "'{url}' is no place for backups; {expected}"
            )));
        }
    };
    std::path::absolute(path).map_err(|e| StoreError::io("find", Path::new(path), e))
}

fn failed(action: &'static str, place: &str, source: object_store::Error) -> StoreError {
    StoreError::Target { action, place: place.into(), source: Arc::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(dir: &Path) -> Target {
        let url = format!("file://{}", dir.join("backups").display());
        Target::open(&url, &S3Options::default(), true).unwrap()
    }

    #[test]
    fn what_was_put_reads_back_and_is_never_put_over() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(dir.path());
        target.put("a/one", Bytes::from_static(b"1")).unwrap();
        assert!(matches!(
            target.put("a/one", Bytes::from_static(b"2")),
            Err(StoreError::Target { .. })
        ));
        assert_eq!(target.get("a/one", 1).unwrap().unwrap(), "1");
        assert!(matches!(target.get("a/one", 0), Err(StoreError::Refused(_))));
        assert_eq!(target.get("a/two", 1).unwrap(), None);
        target.put("a/b/three", Bytes::from_static(b"333")).unwrap();
        let (folders, objects) = target.list("a").unwrap();
        assert_eq!((folders, objects.len()), (vec!["a/b".to_owned()], 1));
        let half = dir.path().join("backups/a/b/four#1");
        std::fs::write(&half, "half").unwrap();
        assert_eq!(target.delete_folder("a").unwrap(), 4);
        assert!(!half.exists(), "what a killed write left");
        assert_eq!(target.list("").unwrap(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn nothing_is_read_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(dir.path());
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), dir.path().join("backups/x"))
            .unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("backups/up")).unwrap();
        for name in ["x", "up/secret"] {
            let error = target.get(name, 10).unwrap_err().to_string();
            assert!(error.contains("is a link"), "{error}");
        }
        assert!(target.get("../secret", 10).is_err());
    }

    #[test]
    fn an_address_that_is_no_place_is_refused_with_what_is() {
        for url in ["ftp://x/y", "file://host/path"] {
            let error = Target::open(url, &S3Options::default(), false).unwrap_err().to_string();
            assert!(error.contains("s3://BUCKET/PREFIX"), "{error}");
        }
    }
}
