//! One record with the proof that it is in the log that was signed.

use anyhow::{Context as _, anyhow};
use custos_event::Position;
use custos_evidence::{
    bundle::{Proven, Record},
    hex,
};
use custos_store::{Checkpoint, Store};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A record, and what proves it: one line, which `custos-verify-evidence` reads as it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventProof {
    /// `proof`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `LOG/PARTITION/SEQ`.
    position: String,
    /// The record's exact bytes, in base64.
    bytes: String,
    /// SHA-256 of a zero byte and the record, in hex.
    pub(crate) leaf: String,
    /// Which leaf of the tree it is.
    pub(crate) index: u64,
    /// How many leaves the tree has that was signed.
    pub(crate) size: u64,
    /// From the leaf up (RFC 9162, 2.1.3), in hex.
    pub(crate) path: Vec<String>,
    pub(crate) root: String,
    /// The signed checkpoint.
    pub(crate) note: String,
    /// A reading of the bytes.
    #[schema(value_type = Object)]
    pub(crate) shown: Value,
}

/// Signs the log's head as it is now, and proves the record under it. `None`: there is no such record.
pub(crate) fn prove(store: &Store, at: Position) -> anyhow::Result<Option<EventProof>> {
    let Some(bytes) = store.read(at)? else { return Ok(None) };
    let head = head(store, at)?;
    let mut prover = store.prover(at.log, at.partition)?.context("the log has gone")?;
    let path = prover.inclusion(at.seq.0, head.size)?.path;
    let position = at.to_string();
    let here = Proven { position: &position, bytes: &bytes, size: head.size, path: &path };
    let Record { position, bytes, leaf, size, path, shown } = Record::new(&here);
    let (index, root, note) = (at.seq.0, hex(&head.root), head.note);
    Ok(Some(EventProof {
        kind: "proof",
        position,
        bytes,
        leaf,
        index,
        size,
        path,
        root,
        note,
        shown,
    }))
}

fn head(store: &Store, at: Position) -> anyhow::Result<Checkpoint> {
    let name = log_name(at);
    let head = store.checkpoint()?.into_iter().find(|head| head.log() == name);
    head.ok_or_else(|| anyhow!("log {name} has no checkpoint"))
}

/// A log as checkpoints name it.
pub(crate) fn log_name(at: Position) -> String {
    match at.partition.0 {
        0 => at.log.to_string(),
        partition => format!("{}/{partition}", at.log),
    }
}
