//! `custos search QUERY`: events by the filter language, newest first.

use super::Data;
use crate::{
    clock::SystemClock,
    exit::{CommandResult, Failure, Outcome},
    folder::{Opened, append_facts, operator},
    line::Line,
    output::Output,
    pipeline::{follow::catch_up, indexer::Indexer, tolerant::Tolerant},
    remote::{Remote, Server},
    when,
};
use clap::Args;
use custos_event::{Clock as _, Fact, FieldTable, Timestamp};
use custos_search::{Hit, Index, Query, SearchRequest};
use serde_json::json;

#[derive(Args)]
pub(super) struct Search {
    /// The earliest event time: RFC 3339, or relative as in -24h.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    from: Option<String>,
    /// The event time that is no longer included.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    to: Option<String>,
    /// How many events at most; 0 is all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print only how many there are.
    #[arg(long)]
    count: bool,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
    /// One JSON value a line.
    #[arg(long)]
    json: bool,
    /// What to find, as in: source.ip:10.0.0.0/8 and not event.outcome:success
    query: String,
}

impl Search {
    pub(super) fn run(self) -> CommandResult {
        if let Some(remote) = self.server.chosen(&self.data.folder())? {
            return self.ask(&remote);
        }
        let query = Query::parse(&self.query).map_err(Failure::usage)?;
        let now = SystemClock.now();
        let request = SearchRequest {
            from: time(self.from.as_deref(), now)?,
            to: time(self.to.as_deref(), now)?,
            limit: self.limit,
        };
        let opened = self.data.folder().open(false)?;
        let keyring = opened.store.keyring();
        let query = query.with_sealed(|value| keyring.find_value(value));
        let index = opened.open_index()?;
        index_the_rest(&opened, &index)?;
        let log = Tolerant::new(&opened.store);
        let results = if self.count {
            self.print_count(&log, &index, &query, &request)?
        } else {
            self.print_hits(&log, &opened.table, &index, (&query, &request))?
        };
        let lost = log.lost();
        if lost > 0 {
            eprintln!(
                "custos: {lost} events on the way are damaged and were passed over; see 'custos log verify'"
            );
        }
        let query = crate::privacy::recorded(&opened.store, &self.query);
        let searched = Fact::Searched { query, results };
        if let Err(failure) = append_facts(&opened.store, &operator(), vec![searched]) {
            // Reads go on when the disk is full, so this is told, not final.
            failure.report();
        }
        opened.store.close()?;
        Ok(Outcome::findings_if(lost > 0))
    }

    /// A server's lines are JSON, asked for or not.
    fn ask(&self, remote: &Remote<'_>) -> CommandResult {
        let mut parameters = vec![("query", self.query.clone())];
        let times = [("from", &self.from), ("to", &self.to)];
        parameters.extend(times.into_iter().filter_map(|(name, time)| Some((name, time.clone()?))));
        if self.count {
            remote.print("/api/v1/count", &parameters)?;
        } else {
            parameters.push(("limit", self.limit.to_string()));
            remote.print("/api/v1/search", &parameters)?;
        }
        Ok(Outcome::Done)
    }

    fn print_count(
        &self,
        log: &Tolerant<'_>,
        index: &Index,
        query: &Query,
        request: &SearchRequest,
    ) -> Result<u64, Failure> {
        let (count, _) = index.count(query, request, log).map_err(Failure::store)?;
        let mut output = Output::new();
        if self.json {
            output.json(&json!({"count": count, "exact": true}))?;
        } else {
            output.text(&count.to_string())?;
        }
        output.flush()?;
        Ok(count)
    }

    fn print_hits(
        &self,
        log: &Tolerant<'_>,
        table: &FieldTable,
        index: &Index,
        (query, request): (&Query, &SearchRequest),
    ) -> Result<u64, Failure> {
        let mut output = Output::new();
        let mut printed = 0;
        let mut failed = None;
        let mut print = |hit: Hit| {
            let written = if self.json {
                output.json(&Line::new(&hit, table))
            } else {
                let (time, raw) = (hit.event.header.time, hit.event.raw_text());
                output.text(&format!("{time} {} {raw}", hit.position))
            };
            printed += 1;
            failed = written.err();
            failed.is_none()
        };
        index.search_each(query, request, log, &mut print).map_err(Failure::store)?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(output.flush().map(|()| printed)?),
        }
    }
}

/// Takes in what a crash or another command left unindexed.
fn index_the_rest(opened: &Opened, index: &Index) -> Result<(), Failure> {
    let cursor = index.cursor();
    if cursor.commit() >= opened.store.last_commit() {
        return Ok(());
    }
    let mut indexer = Indexer::new(index, &opened.store).map_err(Failure::store)?;
    catch_up(&opened.store, &opened.table, &cursor, &mut indexer).map_err(Failure::store)
}

fn time(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    text.map(|text| when::read(text, now)).transpose().map_err(Failure::usage)
}
