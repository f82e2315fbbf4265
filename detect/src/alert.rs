//! A match becomes an alert, the same one in every replay.

use crate::{entity::entities, explain::explain, rule::Rule};
use custos_event::{Alert, AlertId, FieldTable, ParsedEvent, Position};
use sha2::{Digest, Sha256};

/// The alert that `rule` raises by the event at `position`.
pub fn alert(rule: &Rule, position: Position, event: &ParsedEvent, table: &FieldTable) -> Alert {
    Alert {
        id: id(rule, "", position),
        rule: rule.id.clone(),
        rule_version: rule.version.clone(),
        title: rule.title.clone(),
        level: rule.level.clone(),
        tags: rule.tags.clone(),
        time: event.header.time,
        events: vec![position],
        matched: explain(rule, event, table),
        entities: entities(event),
    }
}

/// The first half of SHA-256 over rule, version, group and first position. A rule on single events has
/// no group.
fn id(rule: &Rule, group: &str, first: Position) -> AlertId {
    let text = format!("{}\0{}\0{group}\0{first}", rule.id, rule.version);
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    AlertId(half)
}
