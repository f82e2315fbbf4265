//! `custos backup list`.

use super::{FromOrServer, failure, remote, size};
use crate::{
    exit::{CommandResult, Outcome},
    output::Output,
    upkeep::listed::Listed,
};
use clap::Args;
use custos_store::backup::{self, Manifest};

#[derive(Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    from: FromOrServer,
    /// One JSON value a backup.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> CommandResult {
        if let Some(server) = self.from.server.chosen(&self.from.data.folder())? {
            return remote::list(&server, self.json);
        }
        let mut output = Output::new();
        let mut damaged = false;
        for found in backup::list(&self.from.target()?).map_err(failure)? {
            match found {
                Ok(manifest) if self.json => output.json(&Listed::of(&manifest))?,
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
