//! The token of programs on this machine: whoever can read its file in the data folder may ask.

use crate::{exit::Failure, folder::Folder, hex::hex};
use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

/// The digest of the operator's token; the token itself is only in its file.
pub(crate) struct Token([u8; 32]);

impl Token {
    /// Reads the token of a data folder, made at the first start.
    pub(crate) fn of(folder: &Folder) -> Result<Self, Failure> {
        let path = path(folder);
        let cannot = || format!("cannot read the token in {}", path.display());
        let text = match read(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&path).with_context(cannot).map_err(Failure::store)?
            }
            read => read.with_context(cannot).map_err(Failure::store)?,
        };
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Compares digests, so that the time taken tells nothing about the token.
    pub(crate) fn is(&self, text: &str) -> bool {
        Sha256::digest(text.as_bytes()).as_slice() == self.0
    }
}

fn path(folder: &Folder) -> PathBuf {
    folder.path().join("keys/api.token")
}

/// The token, for who may read its file.
pub(crate) fn read(folder: &Folder) -> io::Result<String> {
    Ok(fs::read_to_string(path(folder))?.trim().to_owned())
}

/// 256 bits, readable by the owner only.
fn make(path: &std::path::Path) -> anyhow::Result<String> {
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).context("the machine gives no random bytes")?;
    let text = hex(&secret);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(text)
}
