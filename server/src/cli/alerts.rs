//! `custos alerts`: what the rules raised, newest first.

use super::Data;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    remote::Server,
};
use clap::Args;

#[derive(Args)]
pub(super) struct AlertsCommand {
    /// How many at most; 0 is all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
    /// One JSON value a line.
    #[arg(long)]
    json: bool,
}

impl AlertsCommand {
    pub(super) fn run(self) -> CommandResult {
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            remote.print("/api/v1/alerts.ndjson", &[("limit", self.limit.to_string())])?;
            return Ok(Outcome::Done);
        }
        let opened = self.data.folder().open(false)?;
        let journal = opened.journal()?;
        let mut output = Output::new();
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        for alert in journal.alerts(limit).map_err(Failure::store)? {
            if self.json {
                output.json(&alert)?;
                continue;
            }
            output.text(&format!(
                "{} {:<8} {} ({})",
                alert.time, alert.level, alert.title, alert.rule
            ))?;
            for matched in &alert.matched {
                let field = if matched.field.is_empty() { "any text" } else { &matched.field };
                output.text(&format!("    {field} {}: {}", matched.pattern, matched.value))?;
            }
            let events = alert.events.iter().map(ToString::to_string).collect::<Vec<_>>();
            output.text(&format!("    event {}", events.join(" ")))?;
        }
        output.flush()?;
        opened.store.close()?;
        Ok(Outcome::Done)
    }
}
