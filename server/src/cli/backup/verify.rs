//! `custos backup verify`.

use super::{FromOrServer, Keys, Teller, failure, log_name, remote};
use crate::{
    exit::{CommandResult, Outcome},
    output::Output,
};
use clap::Args;
use custos_store::backup::{self, BackupKind, BackupReport, CheckOptions};
use serde_json::json;

#[derive(Args)]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    from: FromOrServer,
    /// The backup; without it, every one at the place.
    id: Option<String>,
    #[command(flatten)]
    keys: Keys,
    /// One JSON value a backup.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self) -> CommandResult {
        if let Some(server) = self.from.server.chosen(&self.from.data.folder())? {
            return remote::verify(&server, self.id.as_deref(), self.json);
        }
        let options = CheckOptions {
            id: self.id.clone(),
            master_key: self.keys.master_key.clone(),
            public_key: self.keys.public_key()?,
        };
        let mut teller = Teller::new("verify");
        let reports =
            backup::check(&self.from.target()?, &options, &mut |progress| teller.tell(progress));
        let reports = reports.map_err(failure)?;
        let mut output = Output::new();
        let mut findings = false;
        for report in &reports {
            findings |= !report.is_ok();
            if self.json {
                output.json(&json_of(report))?;
            } else {
                output.text(&text_of(report))?;
            }
        }
        if reports.is_empty() {
            eprintln!("{} holds no backup", self.from.from.as_deref().unwrap_or_default());
        }
        output.flush()?;
        Ok(Outcome::findings_if(findings))
    }
}

fn json_of(report: &BackupReport) -> serde_json::Value {
    let log = |log| json!({"log": log_name(log), "size": log.size, "root": log.root});
    json!({
        "id": report.id,
        "kind": report.kind,
        "created_at": report.created_at,
        "ok": report.is_ok(),
        "proven": report.proven,
        "bytes": report.bytes,
        "logs": report.logs.iter().map(log).collect::<Vec<_>>(),
        "errors": report.errors,
    })
}

fn text_of(report: &BackupReport) -> String {
    let kind = report.kind.map_or("unreadable", BackupKind::as_str);
    let verdict = match (report.is_ok(), report.proven) {
        (true, true) => "whole, every record is in its signed tree",
        (true, false) => {
            "every byte is as it was written; the records were not opened for want of the master key"
        }
        (false, _) => "DAMAGED",
    };
    let found = [&[format!("{}  {kind}: {verdict}", report.id)], &report.errors[..]].concat();
    found.join("; ")
}
