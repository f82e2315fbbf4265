//! An incident's facts and events as a bundle of evidence. The fact of the export comes first: it names the
//! contents, stands in the bundle itself, and is signed with everything else.

use super::prove::log_name;
use crate::respond::{Command, Desk, DeskError};
use anyhow::{Context as _, anyhow};
use custos_event::{Actor, Fact, IncidentId, Position, respond::Evidence};
use custos_evidence::{
    bundle::{Contents, FORMAT, Manifest, Proven, VERSION, Writer},
    shown,
};
use custos_respond::Rejection;
use custos_store::{Prover, Store};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

/// 20,000 records of 1 KiB, each with 25 hashes in hex: a bundle of 60 MB, made in about 20 s. A larger incident
/// is told so, and is exported in parts: by incidents of their own.
const RECORDS_MAX: usize = 20_000;

/// An export whose fact is durable; what is left is to write it out.
pub(crate) struct Export {
    store: Store,
    pub(crate) incident: IncidentId,
    /// In the bundle's order.
    places: Vec<Position>,
    /// Where the fact of the export stands.
    fact: Position,
    /// Sizes of checkpoints that are held elsewhere, by log.
    held: BTreeSet<(String, u64)>,
    pub(crate) missing: usize,
}

/// Decides what belongs to the incident, and writes down that it is taken out. `held` are checkpoints that the
/// bundle is to be linked to: log and size.
pub(crate) fn begin(
    store: &Store,
    desk: &Desk,
    actor: &Actor,
    incident: IncidentId,
    held: impl IntoIterator<Item = (String, u64)>,
) -> Result<Export, DeskError> {
    let wanted = places(desk, incident)?;
    if wanted.len() > RECORDS_MAX {
        let (count, max) = (wanted.len(), RECORDS_MAX);
        let text = format!("{incident} has {count} records; an export holds {max} at most");
        return Err(Rejection::Wrong(text).into());
    }
    let (mut contents, mut places, mut missing) = (Contents::default(), Vec::new(), Vec::new());
    for at in wanted {
        match store.read(at) {
            Ok(Some(bytes)) => {
                contents.add(&bytes);
                places.push(at);
            }
            Ok(None) | Err(_) => missing.push(at),
        }
    }
    let unread = missing.len();
    let (records, contents) = (contents.records(), contents.digest());
    let command = Command::Export { incident, records, contents, missing };
    let facts = desk.command(actor, None, command)?;
    let fact = facts.first().map(|(at, _)| *at);
    let fact = fact.ok_or_else(|| DeskError::Failed(anyhow!("the export left no fact")))?;
    let (store, held) = (store.clone(), held.into_iter().collect());
    Ok(Export { store, incident, places, fact, held, missing: unread })
}

/// Everything that the incident is made of: its facts, those of its runs and tasks, its alerts, their events, and the
/// events that were attached to it.
fn places(desk: &Desk, incident: IncidentId) -> Result<BTreeSet<Position>, DeskError> {
    let (mut places, alerts) = desk
        .read(|state| {
            let entry = state.incidents.get(&incident)?;
            let alerts: Vec<_> = entry.incident.alerts.iter().map(|alert| alert.at).collect();
            let mut places: BTreeSet<_> = entry.facts.iter().chain(&alerts).copied().collect();
            let attached = entry.incident.evidence.iter();
            places.extend(attached.flat_map(|Evidence { events, .. }| events));
            Some((places, alerts))
        })
        .ok_or_else(|| Rejection::unknown(incident))?;
    for at in alerts {
        // One that cannot be read is missing with the rest: see `begin`.
        if let Ok(Some(envelope)) = desk.fact(at)
            && let Fact::AlertRaised(alert) = envelope.fact
        {
            places.extend(alert.events);
        }
    }
    Ok(places)
}

/// What was written.
pub(crate) struct Written {
    pub(crate) records: usize,
    /// Of the whole bundle, in hex.
    pub(crate) sha256: String,
}

impl Export {
    /// Writes the bundle. Where it fails the bundle has no end, and so passes for none.
    pub(crate) fn write(&self, out: impl Write) -> anyhow::Result<Written> {
        let mut heads = BTreeMap::new();
        for head in self.store.checkpoint()? {
            heads.insert(head.log().to_owned(), head);
        }
        let mut writer = Writer::begin(out, self.manifest()?)?;
        let all = || self.places.iter().chain([&self.fact]);
        let logs: BTreeSet<_> = all().map(|at| (log_name(*at), at.log, at.partition)).collect();
        let mut provers = BTreeMap::new();
        for (name, log, partition) in logs {
            let head = heads.get(&name).with_context(|| format!("log {name} is not signed"))?;
            let prover = self.store.prover(log, partition)?.context("a log has gone")?;
            writer.checkpoint(head)?;
            let prover = provers.entry(name.clone()).or_insert(prover);
            self.link(&mut writer, prover, &name, head.size)?;
        }
        for at in all() {
            let name = log_name(*at);
            let (Some(prover), Some(head)) = (provers.get_mut(&name), heads.get(&name)) else {
                continue;
            };
            let gone = || format!("record {at} was there before and is not now");
            let bytes = self.store.read(*at)?.with_context(gone)?;
            let path = prover.inclusion(at.seq.0, head.size)?.path;
            let (position, size) = (at.to_string(), head.size);
            writer.record(&Proven { position: &position, bytes: &bytes, size, path: &path })?;
        }
        let records = self.places.len();
        Ok(Written { records, sha256: writer.end()? })
    }

    fn link(
        &self,
        writer: &mut Writer<impl Write>,
        prover: &mut Prover<'_>,
        name: &str,
        size: u64,
    ) -> anyhow::Result<()> {
        let held = self.held.iter().filter(|(log, held)| log == name && *held < size);
        for (_, held) in held {
            writer.consistency(name, (*held, size), &prover.consistency(*held, size)?)?;
        }
        Ok(())
    }

    /// Who and when, as the fact of the export has it.
    fn manifest(&self) -> anyhow::Result<Manifest> {
        let bytes = self.store.read(self.fact)?.context("the fact of the export is gone")?;
        let mut fact = shown("journal", &bytes);
        let exported_at = fact.get("at").and_then(Value::as_str).unwrap_or_default().to_owned();
        let exported_by = fact.get_mut("actor").map(Value::take).unwrap_or_default();
        Ok(Manifest {
            format: FORMAT.into(),
            version: VERSION,
            subject: self.incident.to_string(),
            exported_at,
            exported_by,
            export: self.fact.to_string(),
            custos: env!("CARGO_PKG_VERSION").into(),
            keys: self.store.public_keys().lines().map(str::to_owned).collect(),
        })
    }
}
