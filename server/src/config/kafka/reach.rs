//! How a cluster is reached: its brokers, an account, TLS. The files that are named are read when the server starts.

use crate::{
    config::{mechanism, raw},
    respond::config::secret,
};
use anyhow::{Context as _, bail};
use custos_ingest::kafka::{Account, Mechanism, Security, Tls};
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// As it is written in a section.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Written {
    pub(super) brokers: Option<String>,
    tls: Option<bool>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    key_password_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    mechanism: Option<String>,
}

/// Takes them out of a section. Both sections list the same settings: serde cannot share a struct between them and still
/// refuse what neither knows.
macro_rules! taken {
    ($section:expr) => {
        Written {
            brokers: $section.brokers.take(),
            tls: $section.tls.take(),
            ca: $section.ca.take(),
            certificate: $section.certificate.take(),
            key: $section.key.take(),
            key_password_file: $section.key_password_file.take(),
            user: $section.user.take(),
            password_file: $section.password_file.take(),
            mechanism: $section.mechanism.take(),
        }
    };
}

impl Written {
    pub(super) fn of_kafka(section: &mut raw::Kafka) -> Self {
        taken!(section)
    }

    pub(super) fn of_publish(section: &mut raw::Publish) -> Self {
        taken!(section)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reach {
    pub(crate) brokers: String,
    pub(super) account: Option<Named>,
    pub(super) tls: Option<Files>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    user: String,
    pub(super) password_file: PathBuf,
    pub(super) mechanism: Mechanism,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Files {
    pub(super) ca: Option<PathBuf>,
    own: Option<(PathBuf, PathBuf)>,
    key_password_file: Option<PathBuf>,
}

pub(super) fn check(
    written: Written,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Reach> {
    let account = check_account(&written, below)?;
    let tls = check_tls(&written, below)?;
    let brokers = written.brokers.context("brokers is missing: name them as HOST:PORT")?;
    if account.is_some() && tls.is_none() && written.tls.is_none() && !all_loopback(&brokers) {
        bail!(
            "user would be sent to {brokers} without TLS: set ca, or tls = true where the system trusts who signed the \
             brokers' certificates, or write tls = false if the network between is guarded otherwise"
        );
    }
    Ok(Reach { brokers, account, tls })
}

fn check_account(
    raw: &Written,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Option<Named>> {
    let (user, password_file) = match (&raw.user, &raw.password_file) {
        (Some(user), Some(file)) => (user.clone(), below(file.clone())),
        (None, None) if raw.mechanism.is_none() => return Ok(None),
        _ => {
            bail!("user, password_file and mechanism go together; user or password_file is missing")
        }
    };
    let mechanism = raw.mechanism.as_deref().map(mechanism).transpose()?.unwrap_or_default();
    Ok(Some(Named { user, password_file, mechanism }))
}

fn check_tls(raw: &Written, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Option<Files>> {
    let path = |file: &Option<PathBuf>| file.clone().map(below);
    let own = match (path(&raw.certificate), path(&raw.key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) if raw.key_password_file.is_none() => None,
        _ => bail!("certificate and key go together, two PEM files"),
    };
    let (ca, key_password_file) = (path(&raw.ca), path(&raw.key_password_file));
    let files = Files { ca, own, key_password_file };
    match raw.tls {
        Some(false) if files != Files::default() => {
            bail!("tls = false, and ca or certificate is set; drop one of them")
        }
        Some(true) => Ok(Some(files)),
        _ => Ok((files != Files::default()).then_some(files)),
    }
}

fn all_loopback(brokers: &str) -> bool {
    brokers.split(',').all(|broker| {
        let host = broker.trim().rsplit_once(':').map_or(broker.trim(), |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

impl Reach {
    pub(super) fn security(&self) -> anyhow::Result<Security> {
        let account = |named: &Named| {
            let (user, mechanism) = (named.user.clone(), named.mechanism);
            anyhow::Ok(Account { user, mechanism, password: secret(&named.password_file)? })
        };
        let tls = |files: &Files| {
            if let Some(ca) = &files.ca {
                check_pem("ca", ca, "CERTIFICATE-----")?;
            }
            if let Some((certificate, key)) = &files.own {
                check_pem("certificate", certificate, "CERTIFICATE-----")?;
                check_pem("key", key, "PRIVATE KEY-----")?;
            }
            let key_password = files.key_password_file.as_deref().map(secret).transpose()?;
            anyhow::Ok(Tls { ca: files.ca.clone(), own: files.own.clone(), key_password })
        };
        Ok(Security {
            account: self.account.as_ref().map(account).transpose()?,
            tls: self.tls.as_ref().map(tls).transpose()?,
        })
    }
}

/// librdkafka reads the file itself; what it says of a wrong one names no setting.
fn check_pem(setting: &str, file: &Path, what: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("{setting}: cannot read {}", file.display()))?;
    if !text.contains(what) {
        bail!("{setting}: {} holds no PEM block '{what}'", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_go_to_this_machine_without_tls() {
        for (brokers, loopback) in [
            ("127.0.0.1:9094,[::1]:9095", true),
            ("localhost:9094", true),
            ("127.0.0.1:9094, kafka:9094", false),
        ] {
            assert_eq!(all_loopback(brokers), loopback, "{brokers}");
        }
    }
}
