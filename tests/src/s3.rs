//! A bucket: moto's server, which speaks S3 as Amazon's does, on this machine alone.

use crate::{clients::python, http, process::Running, process::free_port, wait};
use anyhow::{Result, ensure};
use std::{
    process::{Command, Stdio},
    time::Duration,
};

/// It imports much of Amazon before it answers.
const START_LIMIT: Duration = Duration::from_mins(1);
/// Any will do: moto looks at the service and the region in it.
const WHO: &str =
    "Authorization: AWS4-HMAC-SHA256 Credential=custos/20261125/us-east-1/s3/aws4_request";

/// The name and the secret that tests use.
pub const ACCESS_KEY_ID: &str = "custos";
pub const SECRET: &str = "a secret of no worth";

/// One empty bucket.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    port: u16,
    _server: Running,
}

impl Bucket {
    /// `None`, and told, where moto is not installed.
    pub fn start(name: &str) -> Result<Option<Self>> {
        let mut there = Command::new(python());
        let there = there.args(["-c", "import moto"]).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("skipped: moto is not installed; `bash tests/run.sh` installs it");
            return Ok(None);
        }
        let port = free_port()?;
        let mut command = Command::new(python());
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let server = Running::start("moto", command.stdout(Stdio::null()))?;
        let bucket = Self { name: name.to_owned(), port, _server: server };
        wait::until("moto", START_LIMIT, || {
            Ok(bucket.send("PUT", "").ok().filter(|(status, _)| *status == 200))
        })?;
        Ok(Some(bucket))
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a command line needs to find it.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &self.endpoint()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// An object's text.
    pub fn get(&self, object: &str) -> Result<String> {
        let (status, body) = self.send("GET", &format!("/{object}"))?;
        ensure!(status == 200, "{object}: {status} {body}");
        Ok(body)
    }

    /// Deletes an object, as an owner of the bucket can.
    pub fn delete(&self, object: &str) -> Result<()> {
        let (status, body) = self.send("DELETE", &format!("/{object}"))?;
        ensure!(status == 204, "{object}: {status} {body}");
        Ok(())
    }

    /// The names of all objects, up to a thousand.
    pub fn objects(&self) -> Result<Vec<String>> {
        let (_, listed) = self.send("GET", "?list-type=2")?;
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        Ok(keys.map(|(key, _)| key.to_owned()).collect())
    }

    fn send(&self, method: &str, rest: &str) -> Result<(u16, String)> {
        let path = format!("/{}{rest}", self.name);
        let mut reply = http::send(self.port, method, &path, &[WHO.to_owned()], b"")?;
        Ok((reply.status, reply.text()?))
    }
}
