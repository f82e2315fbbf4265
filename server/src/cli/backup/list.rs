//! `custos backup list`.

use super::{From, failure, log_line, size};
use crate::{
    exit::{CommandResult, Outcome},
    output::Output,
};
use clap::Args;
use custos_store::backup::{self, Manifest};
use serde_json::json;

#[derive(Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    from: From,
    /// One JSON value a backup.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> CommandResult {
        let mut output = Output::new();
        let mut damaged = false;
        for found in backup::list(&self.from.target()?).map_err(failure)? {
            match found {
                Ok(manifest) if self.json => output.json(&json_of(&manifest))?,
                Ok(manifest) => output.text(&text_of(&manifest))?,
                Err(error) => {
                    damaged = true;
                    eprintln!("custos: {error}");
                }
            }
        }
        output.flush()?;
        Ok(Outcome::findings_if(damaged))
    }
}

fn json_of(manifest: &Manifest) -> serde_json::Value {
    let (stored, others) = manifest.bytes();
    json!({
        "id": manifest.id,
        "kind": manifest.kind,
        "parent": manifest.parent.as_ref().map(|parent| &parent.id),
        "created_at": manifest.created_at,
        "commit": manifest.commit,
        "commit_at": manifest.commit_at,
        "bytes": stored + others,
        "stored_bytes": stored,
        "logs": manifest.logs.iter().map(|log| log_line(manifest, log)).collect::<Vec<_>>(),
    })
}

fn text_of(manifest: &Manifest) -> String {
    let (stored, others) = manifest.bytes();
    let parent = manifest.parent.as_ref().map_or(String::new(), |p| format!(", on {}", p.id));
    format!(
        "{}  {}  commit {}, {} of {} stored here{parent}",
        manifest.id,
        manifest.kind.as_str(),
        manifest.commit,
        size(stored),
        size(stored + others),
    )
}
