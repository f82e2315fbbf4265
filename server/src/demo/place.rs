//! The folder of a demo: data, rules, the outbox, what the stand-ins did, and the configuration that joins them.

use super::stand_in::StandIns;
use crate::{exit::Failure, folder::Folder};
use anyhow::Context as _;
use custos_scenario::Topic;
use rust_embed::RustEmbed;
use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The repository's rules and playbooks.
#[derive(RustEmbed)]
#[folder = "../rules"]
struct Rules;

/// Removed at the end unless it is to be kept.
pub(super) struct Place {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    /// Makes the folder where it is missing, and writes the rules into it.
    pub(super) fn open(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let place = if let Some(path) = keep {
            Self { path, temporary: None }
        } else {
            let made = tempfile::Builder::new().prefix("custos-demo-").tempdir();
            let made = made.context("cannot make a temporary folder").map_err(Failure::input)?;
            Self { path: made.path().to_owned(), temporary: Some(made) }
        };
        place.fill().map_err(Failure::input)?;
        // The configuration names folders in full, so that it can be used from anywhere.
        let path = fs::canonicalize(&place.path)?;
        Ok(Self { path, ..place })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> Folder {
        Folder::chosen(Some(self.path.join("data")))
    }

    pub(super) fn outbox(&self) -> PathBuf {
        self.path.join("outbox")
    }

    pub(super) fn stand_ins(&self) -> PathBuf {
        self.path.join("stand-ins")
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    fn fill(&self) -> anyhow::Result<()> {
        for folder in [self.outbox(), self.stand_ins(), self.path.join("witness")] {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        for name in Rules::iter() {
            let file = self.path.join("rules").join(name.as_ref());
            let cannot = || format!("cannot write {}", file.display());
            let rule = Rules::get(&name).with_context(cannot)?;
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).with_context(cannot)?;
            }
            fs::write(&file, rule.data).with_context(cannot)?;
        }
        Ok(())
    }

    /// The configuration as a file, so that `custos serve --config` can take over a kept demo; and its text.
    pub(super) fn write_config(
        &self,
        listen: SocketAddr,
        stand_ins: &StandIns,
    ) -> Result<String, Failure> {
        let text = self.config(listen, stand_ins).context("cannot write the configuration");
        let text = text.map_err(Failure::input)?;
        let file = self.path.join("custos.toml");
        fs::write(&file, &text)
            .with_context(|| format!("cannot write {}", file.display()))
            .map_err(Failure::input)?;
        Ok(text)
    }

    /// A port of 0 is any that is free.
    fn config(&self, listen: SocketAddr, stand_ins: &StandIns) -> Result<String, std::fmt::Error> {
        let mut text =
            String::from("# Written by custos demo; each start writes it anew.\ndata = \"data\"\n");
        write!(text, "\n[http]\nlisten = \"{listen}\"\n\n[listener]\nlisten = \"127.0.0.1:0\"\n")?;
        for topic in Topic::ALL {
            let (name, source) = (topic.name(), source(topic));
            write!(text, "[[listener.topics]]\nname = \"{name}\"\nsource = \"{source}\"\n")?;
        }
        // For shippers that somebody wants to try: Sources, "Connect a source".
        text.push_str(
            "\n[[intake]]\nname = \"edge\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\n",
        );
        text.push_str("\n[rules]\nfolders = [\"rules/detections\"]\n");
        text.push_str(RESPOND);
        for (name, address) in stand_ins.addresses() {
            write!(
                text,
                "[[respond.endpoints]]\nname = \"{name}\"\nurl = \"http://{address}\"\n\
                 token_file = \"stand-ins/token\"\n"
            )?;
        }
        text.push_str(MAIL);
        text.push_str(WITNESS);
        let backups = self.path.join("backups");
        write!(
            text,
            "\n[backup]\nto = \"file://{}\"\nincremental_every = \"5m\"\ndrill_every = \"never\"\n",
            backups.display()
        )?;
        Ok(text)
    }
}

/// The company's own public addresses, of whichever seed, are out of reach of every playbook.
const RESPOND: &str = r#"
[respond]
playbooks = ["rules/playbooks"]
networks = ["198.51.100.0/24", "192.0.2.0/24"]
users = ["root"]
"#;

const MAIL: &str = r#"
[respond.mail]
from = "custos@bank.example"
outbox = "outbox"
[respond.mail.groups]
soc = ["soc@bank.example"]
branch = ["security.desk@bank.example"]
"#;

/// In a house of one's own it lies on another machine.
const WITNESS: &str = r#"
[[witness]]
kind = "folder"
name = "second folder"
path = "witness"
"#;

/// What the events of a topic are.
fn source(topic: Topic) -> &'static str {
    match topic {
        Topic::Doors => "door",
        Topic::Payments => "payment",
        Topic::Auth => "syslog",
        Topic::Suricata => "suricata",
        Topic::Zeek => "zeek",
        Topic::Windows => "windows-nxlog",
        Topic::Crm => "crm",
        Topic::Backup => "backup",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_holds_every_rule_and_writes_it_into_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::open(Some(folder.path().join("new/demo"))).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
        let files = crate::rulefiles::read(&[ours.join("detections")]).unwrap();
        let written = crate::rulefiles::read(&[place.path().join("rules/detections")]).unwrap();
        assert!(!files.is_empty());
        assert_eq!(files.len(), written.len());
        assert!(written.iter().all(crate::rulefiles::RuleFile::accepted));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = Place::open(Some(file.path().join("below"))).err().unwrap();
        let text = format!("{:#}", failure.into_error());
        assert!(text.contains("below/outbox"), "{text}");
    }
}
