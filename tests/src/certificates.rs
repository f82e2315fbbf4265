//! A certificate authority for a test: it signs a server's and a client's certificate for 127.0.0.1.

use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// `ca.pem`, and NAME.pem with NAME.key for each name, in one folder.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Made by openssl, for a day.
    pub fn make(folder: &Path, names: &[&str]) -> Result<Self> {
        let made = Self { folder: folder.to_owned() };
        let ca = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let root = ["-days", "1", "-subj", "/CN=test root", "-keyout", "ca.key", "-out", "ca.pem"];
        made.openssl(&[&ca[..], &root[..]].concat())?;
        fs::write(
            folder.join("extensions"),
            "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n",
        )?;
        for name in names {
            made.sign(name, "1")?;
        }
        Ok(made)
    }

    /// NAME.pem, whose time was over yesterday.
    pub fn sign_expired(&self, name: &str) -> Result<()> {
        self.sign(name, "-1")
    }

    fn sign(&self, name: &str, days: &str) -> Result<()> {
        let (key, ask, out) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let asked = ["-subj", "/CN=127.0.0.1", "-keyout", &key, "-out", &ask];
        self.openssl(&[&new[..], &asked[..]].concat())?;
        let sign = ["x509", "-req", "-in", &ask, "-CA", "ca.pem", "-CAkey", "ca.key"];
        let how = ["-days", days, "-CAcreateserial", "-extfile", "extensions", "-out", &out];
        self.openssl(&[&sign[..], &how[..]].concat())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn openssl(&self, words: &[&str]) -> Result<()> {
        let output = Command::new("openssl")
            .args(words)
            .current_dir(&self.folder)
            .output()
            .context("cannot run openssl; `bash tests/run.sh` installs it")?;
        if !output.status.success() {
            bail!("openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}
