//! The sections `[[witness]]` and `[witnessed]`: as written, and what they mean once checked.

use anyhow::{Context as _, bail};
use custos_evidence::Keys;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RawWitness {
    Folder {
        name: String,
        every_secs: Option<u32>,
        path: PathBuf,
    },
    S3 {
        name: String,
        every_secs: Option<u32>,
        /// `s3://bucket/prefix`.
        url: String,
        endpoint: Option<String>,
        region: Option<String>,
        access_key_id: String,
        secret_key_file: PathBuf,
    },
    Mail {
        name: String,
        every_secs: Option<u32>,
        to: Vec<String>,
    },
    Custos {
        name: String,
        every_secs: Option<u32>,
        url: String,
    },
}

/// Whose heads are witnessed here.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWitnessed {
    /// Lines that the other node's `custos log key` printed.
    #[serde(default)]
    keys: Vec<String>,
}

/// The witnesses that checkpoints go to, and the keys of those that come here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Witnessing {
    pub(crate) witnesses: Vec<Witness>,
    accepted: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Witness {
    pub(crate) name: String,
    /// Between two heads, where the logs grew.
    pub(crate) every_secs: u32,
    pub(crate) to: To,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum To {
    Folder(PathBuf),
    S3(Bucket),
    /// Addresses, or groups of `[respond.mail]`.
    Mail(Vec<String>),
    Custos(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) url: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) access_key_id: String,
    pub(crate) secret_key_file: PathBuf,
}

impl To {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::S3(_) => "s3",
            Self::Mail(_) => "mail",
            Self::Custos(_) => "custos",
        }
    }

    /// As often as the place bears: a note of 250 bytes each time. A bucket gets an object an hour, a mailbox a mail a
    /// day.
    fn every_secs(&self) -> u32 {
        match self {
            Self::Folder(_) | Self::Custos(_) => 60,
            Self::S3(_) => 3_600,
            Self::Mail(_) => 86_400,
        }
    }
}

impl Witnessing {
    pub(crate) fn accepted(&self) -> Keys {
        // Checked when the configuration was.
        Keys::parse(&self.accepted).unwrap_or_default()
    }
}

/// `mail`: whether `[respond.mail]` says how mail is sent.
pub(crate) fn check(
    raw: Vec<RawWitness>,
    RawWitnessed { keys }: &RawWitnessed,
    mail: bool,
    below: &dyn Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Witnessing> {
    let accepted = keys.join("\n");
    Keys::parse(&accepted).context("[witnessed] keys")?;
    let mut witnesses: Vec<Witness> = Vec::new();
    for raw in raw {
        let (name, every_secs, to) = place(raw, below);
        let every_secs = every_secs.unwrap_or_else(|| to.every_secs());
        check_one(&name, every_secs, &to, mail)?;
        if witnesses.iter().any(|known| known.name == name) {
            bail!("witness '{name}' stands twice in [[witness]]");
        }
        witnesses.push(Witness { name, every_secs, to });
    }
    Ok(Witnessing { witnesses, accepted })
}

fn place(raw: RawWitness, below: &dyn Fn(PathBuf) -> PathBuf) -> (String, Option<u32>, To) {
    match raw {
        RawWitness::Folder { name, every_secs, path } => {
            (name, every_secs, To::Folder(below(path)))
        }
        RawWitness::S3 {
            name,
            every_secs,
            url,
            endpoint,
            region,
            access_key_id,
            secret_key_file,
        } => {
            let secret_key_file = below(secret_key_file);
            let bucket = Bucket { url, endpoint, region, access_key_id, secret_key_file };
            (name, every_secs, To::S3(bucket))
        }
        RawWitness::Mail { name, every_secs, to } => (name, every_secs, To::Mail(to)),
        RawWitness::Custos { name, every_secs, url } => {
            (name, every_secs, To::Custos(url.trim_end_matches('/').to_owned()))
        }
    }
}

fn check_one(name: &str, every_secs: u32, to: &To, mail: bool) -> anyhow::Result<()> {
    if name.is_empty() || name.contains(['/', '"']) || name.contains(char::is_control) {
        bail!("[[witness]] name = \"{}\" does not name one", name.escape_debug());
    }
    if !(1..=31 * 86_400).contains(&every_secs) {
        bail!("witness '{name}': every_secs = {every_secs}; 1 to 2678400 are possible");
    }
    match to {
        To::Folder(path) if !path.is_dir() => bail!(
            "witness '{name}': there is no folder {}; mount or make it first, so that checkpoints do not go \
             beside it",
            path.display()
        ),
        To::S3(Bucket { url, .. }) if !url.starts_with("s3://") => {
            bail!("witness '{name}': url = \"{url}\" is not s3://BUCKET/PREFIX")
        }
        To::Mail(to) if to.is_empty() => bail!("witness '{name}': to is empty"),
        To::Mail(_) if !mail => {
            bail!("witness '{name}' is sent mail, and there is no [respond.mail] that says how")
        }
        To::Custos(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            bail!("witness '{name}': url = \"{url}\" is not http(s)://HOST")
        }
        To::Folder(_) | To::S3(_) | To::Mail(_) | To::Custos(_) => Ok(()),
    }
}

/// The secret half of a bucket's key.
pub(crate) fn secret(file: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read the secret in {}", file.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Section {
        #[serde(default)]
        witness: Vec<RawWitness>,
        #[serde(default)]
        witnessed: RawWitnessed,
    }

    fn read(text: &str, mail: bool) -> anyhow::Result<Witnessing> {
        let section: Section = toml::from_str(text)?;
        check(section.witness, &section.witnessed, mail, &|path| Path::new("/").join(path))
    }

    #[test]
    fn a_whole_section_is_understood() {
        let text = r#"
            [[witness]]
            kind = "folder"
            name = "second disk"
            path = "tmp"
            [[witness]]
            kind = "s3"
            name = "bucket"
            url = "s3://notes/custos"
            endpoint = "https://s3.bank.example"
            access_key_id = "a"
            secret_key_file = "s"
            every_secs = 600
            [[witness]]
            kind = "mail"
            name = "auditor"
            to = ["auditor@bank.example"]
            [[witness]]
            kind = "custos"
            name = "other house"
            url = "https://siem.other.example/"
        "#;
        let witnessing = read(text, true).unwrap();
        let every: Vec<_> = witnessing.witnesses.iter().map(|one| one.every_secs).collect();
        assert_eq!(every, [60, 600, 86_400, 60]);
        assert_eq!(witnessing.witnesses[0].to, To::Folder("/tmp".into()));
        assert_eq!(witnessing.witnesses[3].to, To::Custos("https://siem.other.example".into()));
        assert!(witnessing.accepted().is_empty());
    }

    #[test]
    fn what_does_not_hold_is_named_with_its_mend() {
        let folder = "[[witness]]\nkind = \"folder\"\nname = \"a\"\npath = \"tmp\"\n";
        for (text, part) in [
            (&*folder.replace("tmp", "no such folder"), "mount or make it"),
            (&*folder.repeat(2), "twice"),
            (&*(folder.to_owned() + "every_secs = 0\n"), "every_secs = 0"),
            (&*folder.replace("\"a\"", "\"a/b\""), "does not name"),
            ("[[witness]]\nkind = \"mail\"\nname = \"a\"\nto = [\"b@c\"]\n", "[respond.mail]"),
            ("[[witness]]\nkind = \"custos\"\nname = \"a\"\nurl = \"b\"\n", "http(s)"),
            ("[[witness]]\nkind = \"fax\"\nname = \"a\"\n", "unknown variant"),
            ("[witnessed]\nkeys = [\"a\"]\n", "custos log key"),
        ] {
            let error = format!("{:#}", read(text, false).unwrap_err());
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
}
