//! `[[intake.webhooks]]`: the services that may send by themselves, and how each shows that it is the one.

use crate::upkeep::config::seconds;
use anyhow::{Context as _, bail};
use custos_event::Private;
use custos_ingest::shippers::{Form, HeaderName, Proof, Webhook, fxiaoke_key};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Stripe's own libraries take five minutes.
const TOLERANCE: &str = "5m";
/// A secret of fewer bytes can be guessed from one signed body.
const SECRET_BYTES_MIN: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub(super) name: String,
    scheme: String,
    header: Option<String>,
    secret_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    sha256: Option<String>,
    tolerance: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

/// One section that holds; its secret is read when the port opens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hook {
    pub(super) name: String,
    shows: Shows,
}

#[derive(Clone, Debug, PartialEq)]
enum Shows {
    Signature {
        header: HeaderName,
        form: Form,
        secret_file: PathBuf,
    },
    TimedSignature {
        header: HeaderName,
        tolerance_secs: i64,
        secret_file: PathBuf,
    },
    Token {
        sha256: [u8; 32],
    },
    /// As 纷享销客 sends.
    Fxiaoke {
        secret_file: PathBuf,
        key_file: PathBuf,
    },
    /// As Zoho sends.
    Zoho {
        sha256: [u8; 32],
    },
}

impl RawWebhook {
    /// What its events are, where that is not said.
    pub(super) fn standard_kind(&self) -> Option<&'static str> {
        matches!(self.scheme.as_str(), "zoho" | "fxiaoke").then_some("crm")
    }

    pub(super) fn check(self, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Hook> {
        if self.key_file.is_some() && self.scheme != "fxiaoke" {
            bail!("key_file needs scheme = \"fxiaoke\"");
        }
        let standard = match self.scheme.as_str() {
            "bearer" | "zoho" => return self.with_token(),
            "fxiaoke" => return self.with_key(below),
            "github" => Some("x-hub-signature-256"),
            "gophish" => Some("x-gophish-signature"),
            "stripe" => Some("stripe-signature"),
            "hex" | "base64" => None,
            other => bail!(
                "scheme = \"{other}\" is unknown; expected one of: github, stripe, gophish, hex, base64, bearer, zoho, \
                 fxiaoke"
            ),
        };
        if self.sha256.is_some() {
            bail!("sha256 is that of a token and needs scheme = \"bearer\"");
        }
        let Some(header) = self.header.as_deref().or(standard) else {
            bail!(
                "scheme = \"{}\" needs header, the name of the one with the signature",
                self.scheme
            );
        };
        let header = header.parse().with_context(|| format!("header = \"{header}\""))?;
        let secret_file = self.secret_file.with_context(|| {
            format!("scheme = \"{}\" needs secret_file, a file with the shared secret", self.scheme)
        })?;
        let secret_file = below(secret_file);
        let shows = match self.scheme.as_str() {
            "stripe" => {
                let tolerance = self.tolerance.as_deref().unwrap_or(TOLERANCE);
                let secs = seconds(tolerance).context("tolerance")?;
                let tolerance_secs =
                    secs.context("tolerance = \"never\" holds for no signature")?;
                Shows::TimedSignature { header, tolerance_secs, secret_file }
            }
            _ if self.tolerance.is_some() => bail!("tolerance needs scheme = \"stripe\""),
            "base64" => Shows::Signature { header, form: Form::Base64, secret_file },
            "hex" => Shows::Signature { header, form: Form::Hex, secret_file },
            _ => Shows::Signature { header, form: Form::PrefixedHex, secret_file },
        };
        Ok(Hook { name: self.name, shows })
    }

    fn with_token(self) -> anyhow::Result<Hook> {
        if self.header.is_some() || self.secret_file.is_some() || self.tolerance.is_some() {
            bail!(
                "scheme = \"{}\" takes sha256 and no header, secret_file or tolerance",
                self.scheme
            );
        }
        let digest = self.sha256.as_deref().unwrap_or_default();
        let sha256 = super::intake::sha256_of_token(digest)?;
        let is_zoho = self.scheme == "zoho";
        let shows = if is_zoho { Shows::Zoho { sha256 } } else { Shows::Token { sha256 } };
        Ok(Hook { name: self.name, shows })
    }

    fn with_key(self, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Hook> {
        if self.header.is_some() || self.sha256.is_some() || self.tolerance.is_some() {
            bail!(
                "scheme = \"fxiaoke\" takes secret_file and key_file, and no header, sha256 or tolerance"
            );
        }
        let secret_file = self
            .secret_file
            .context("scheme = \"fxiaoke\" needs secret_file, a file with its token")?;
        let key_file = self
            .key_file
            .context("scheme = \"fxiaoke\" needs key_file, a file with its key of 44 letters")?;
        let shows = Shows::Fxiaoke { secret_file: below(secret_file), key_file: below(key_file) };
        Ok(Hook { name: self.name, shows })
    }
}

impl Hook {
    /// With its secret read.
    pub(super) fn open(&self) -> anyhow::Result<Webhook> {
        let proof = match &self.shows {
            Shows::Signature { header, form, secret_file } => {
                Proof::Signed { secret: secret(secret_file)?, header: header.clone(), form: *form }
            }
            Shows::TimedSignature { header, tolerance_secs, secret_file } => Proof::Timed {
                secret: secret(secret_file)?,
                header: header.clone(),
                tolerance_secs: *tolerance_secs,
            },
            Shows::Token { sha256 } => Proof::Bearer { sha256: *sha256 },
            Shows::Zoho { sha256 } => Proof::Zoho { sha256: *sha256 },
            Shows::Fxiaoke { secret_file, key_file } => {
                let key = crate::respond::config::secret(key_file)?;
                let key = fxiaoke_key(key.reveal()).with_context(|| {
                    format!(
                        "{} holds no key of 32 bytes in base64, 43 letters and '='",
                        key_file.display()
                    )
                })?;
                let token = crate::respond::config::secret(secret_file)?;
                Proof::Fxiaoke { token, key: Private::new(key) }
            }
        };
        Ok(Webhook { name: self.name.as_str().into(), proof })
    }
}

pub(super) fn secret(file: &Path) -> anyhow::Result<Private<Vec<u8>>> {
    let secret = crate::respond::config::secret(file)?;
    let bytes = secret.reveal().as_bytes();
    if bytes.len() < SECRET_BYTES_MIN {
        bail!(
            "the secret in {} has {} bytes; {SECRET_BYTES_MIN} are the least: openssl rand -hex 32",
            file.display(),
            bytes.len()
        );
    }
    Ok(Private::new(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> anyhow::Result<Hook> {
        toml::from_str::<RawWebhook>(text)?.check(&|path| Path::new("/etc/custos").join(path))
    }

    #[test]
    fn each_scheme_has_its_header_and_form() {
        let name = "name = \"a\"\nsecret_file = \"s\"\n";
        let signed = |header: &'static str, form| Shows::Signature {
            header: HeaderName::from_static(header),
            form,
            secret_file: "/etc/custos/s".into(),
        };
        for (more, expected) in [
            ("scheme = \"github\"", signed("x-hub-signature-256", Form::PrefixedHex)),
            ("scheme = \"gophish\"", signed("x-gophish-signature", Form::PrefixedHex)),
            ("scheme = \"hex\"\nheader = \"X-Sig\"", signed("x-sig", Form::Hex)),
            ("scheme = \"base64\"\nheader = \"X-Sig\"", signed("x-sig", Form::Base64)),
        ] {
            assert_eq!(check(&format!("{name}{more}")).unwrap().shows, expected);
        }
        let stripe = |more: &str| check(&format!("{name}scheme = \"stripe\"\n{more}")).unwrap();
        for (more, secs) in [("", 300), ("tolerance = \"90s\"", 90)] {
            let Shows::TimedSignature { tolerance_secs, header, .. } = stripe(more).shows else {
                panic!("not timed")
            };
            assert_eq!((tolerance_secs, header.as_str()), (secs, "stripe-signature"));
        }
        let token = format!("name = \"a\"\nscheme = \"bearer\"\nsha256 = \"{}\"", "0f".repeat(32));
        assert_eq!(check(&token).unwrap().shows, Shows::Token { sha256: [15; 32] });
    }

    #[test]
    fn what_does_not_hold_is_told_with_its_mend() {
        for (more, part) in [
            ("scheme = \"md5\"", "github, stripe, gophish, hex, base64, bearer, zoho, fxiaoke"),
            ("scheme = \"fxiaoke\"\nsecret_file = \"s\"", "needs key_file"),
            ("scheme = \"fxiaoke\"\nheader = \"a\"", "takes secret_file and key_file"),
            ("scheme = \"hex\"\nkey_file = \"s\"", "needs scheme = \"fxiaoke\""),
            ("scheme = \"zoho\"\nsecret_file = \"s\"", "\"zoho\" takes sha256"),
            ("scheme = \"github\"", "needs secret_file"),
            ("scheme = \"hex\"\nsecret_file = \"s\"", "needs header"),
            ("scheme = \"hex\"\nsecret_file = \"s\"\nheader = \"a b\"", "header = \"a b\""),
            (
                "scheme = \"github\"\nsecret_file = \"s\"\ntolerance = \"1m\"",
                "needs scheme = \"stripe\"",
            ),
            ("scheme = \"stripe\"\nsecret_file = \"s\"\ntolerance = \"never\"", "no signature"),
            ("scheme = \"github\"\nsha256 = \"00\"", "needs scheme = \"bearer\""),
            ("scheme = \"bearer\"\nsecret_file = \"s\"", "takes sha256"),
            ("scheme = \"bearer\"\nsha256 = \"00\"", "sha256sum"),
        ] {
            let error = format!("{:#}", check(&format!("name = \"a\"\n{more}")).unwrap_err());
            assert!(error.contains(part), "{part} in: {error}");
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_may_not_be_guessable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s");
        let hook = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let shows = Shows::Signature {
                header: HeaderName::from_static("x-sig"),
                form: Form::Hex,
                secret_file: file.clone(),
            };
            Hook { name: "a".into(), shows }.open()
        };
        assert!(hook("0123456789abcdef\n").is_ok());
        let error = hook("short\n").unwrap_err().to_string();
        assert!(error.contains("5 bytes") && error.contains("openssl rand"), "{error}");
    }
}
