//! `custos ingest --explain LINE`: how one event would be read. Stores nothing and needs no data folder.

use crate::{
    clock::SystemClock,
    exit::{CommandResult, Failure, Outcome},
    output::Output,
};
use anyhow::Context as _;
use custos_event::{Clock as _, FieldId, FieldTable, Flags, ParsedEvent, ecs};
use custos_ingest::decode::{DecodeOptions, Decoder};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a line was taken for, and what became of each of its values.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    /// As `--source` has it.
    #[serde(rename = "type")]
    kind: String,
    dataset: Option<String>,
    /// The event's own, or the time now.
    time: String,
    flags: Vec<&'static str>,
    /// Why it would be kept as rejected.
    rejection: Option<String>,
    /// Pieces that would be replaced before anything is stored: card numbers.
    protected: usize,
    fields: Map<String, Value>,
    /// Of these fields, the source's own name.
    from: BTreeMap<String, String>,
    /// Kept under the source's own name, and raised to nothing.
    left_over: Map<String, Value>,
}

/// Names of flags as docs/sources/README.md has them.
const FLAGS: [(Flags, &str); 6] = [
    (Flags::NO_TIME, "NO_TIME"),
    (Flags::TIME_AHEAD, "TIME_AHEAD"),
    (Flags::TIME_OLD, "TIME_OLD"),
    (Flags::TIME_COMPLETED, "TIME_COMPLETED"),
    (Flags::TRUNCATED, "TRUNCATED"),
    (Flags::NOT_UTF8, "NOT_UTF8"),
];

/// Where a source keeps what is its own, though well-known names begin so too.
const OWN: [&str; 4] = ["custos", "kafka", "winlog", "syslog"];
/// Parts of ECS that no well-known name is of.
const MORE: [&str; 3] = ["container", "orchestrator", "package"];

pub(super) fn run(line: &str, options: DecodeOptions, json: bool) -> CommandResult {
    let explained = explain(line, options);
    let rejected = explained.rejection.is_some();
    let mut output = Output::new();
    if json { output.json(&explained) } else { explained.say(&mut output) }
        .and_then(|()| output.flush())
        .context("cannot write what was found")
        .map_err(Failure::input)?;
    Ok(Outcome::findings_if(rejected))
}

fn explain(line: &str, options: DecodeOptions) -> Explained {
    let table = Arc::new(FieldTable::new());
    let mut decoder = Decoder::new(Arc::clone(&table), options);
    let line = line.trim_end_matches(['\r', '\n']).as_bytes().to_vec();
    let event = decoder.decode(line.into(), SystemClock.now());
    let flags = FLAGS.iter().filter(|(flag, _)| event.header.flags.has(*flag));
    let mut explained = Explained {
        kind: event.header.decoder.to_string(),
        dataset: event.str(ecs::EVENT_DATASET).map(str::to_owned),
        time: event.header.time.to_string(),
        flags: flags.map(|(_, name)| *name).collect(),
        rejection: event.header.rejection.as_deref().map(str::to_owned),
        protected: event.header.protections.len(),
        fields: Map::new(),
        from: BTreeMap::new(),
        left_over: Map::new(),
    };
    explained.take(&event, &table);
    explained
}

impl Explained {
    fn take(&mut self, event: &ParsedEvent, table: &FieldTable) {
        let raised: BTreeSet<FieldId> = event.aliases().map(|(_, native)| native).collect();
        let from = event.aliases().filter(|(field, native)| field != native);
        let name = |field| table.name(field).to_string();
        self.from = from.map(|(field, native)| (name(field), name(native))).collect();
        for (field, value) in event.iter() {
            let (name, value) = (table.name(field).to_string(), Value::from(value));
            if is_ecs(field, &name) {
                put(&mut self.fields, name, value);
            } else if !raised.contains(&field) {
                put(&mut self.left_over, name, value);
            }
        }
    }

    fn say(&self, output: &mut Output) -> std::io::Result<()> {
        let dataset = self.dataset.as_deref().unwrap_or("none");
        output.text(&format!("taken for  {} (event.dataset {dataset})", self.kind))?;
        output.text(&format!("time       {} {}", self.time, self.flags.join(" ")))?;
        if let Some(reason) = &self.rejection {
            output.text(&format!("rejected   {reason}"))?;
        }
        if self.protected > 0 {
            output.text(&format!("protected  {} values would be replaced", self.protected))?;
        }
        output.text("fields")?;
        for (name, value) in &self.fields {
            let from = self.from.get(name).map(|from| format!("   <- {from}"));
            output.text(&format!("  {name}: {value}{}", from.unwrap_or_default()))?;
        }
        if !self.left_over.is_empty() {
            output.text("left over, kept under the source's own names")?;
        }
        for (name, value) in &self.left_over {
            output.text(&format!("  {name}: {value}"))?;
        }
        Ok(())
    }
}

/// A field with several values has them in an array, as in `search --json`.
fn put(fields: &mut Map<String, Value>, name: String, value: Value) {
    match fields.get_mut(&name) {
        None => drop(fields.insert(name, value)),
        Some(Value::Array(all)) => all.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// A well-known name, or one of a part of ECS.
fn is_ecs(field: FieldId, name: &str) -> bool {
    let part = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let own = part(name);
    let is_well_known = usize::try_from(field.0).is_ok_and(|number| number < ecs::NAMES.len());
    let is_part = || ecs::NAMES.iter().any(|known| part(known) == own) || MORE.contains(&&*own);
    is_well_known || (!OWN.contains(&&*own) && is_part())
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_ingest::decode::SourceType;

    fn of(line: &str) -> Value {
        let options = DecodeOptions::new(SourceType::Auto, "explain".into());
        serde_json::to_value(explain(line, options)).unwrap()
    }

    #[test]
    fn each_value_is_told_where_it_went() {
        let told = of(concat!(
            r#"{"timestamp":"2026-11-24T08:00:00.000000+0000","event_type":"flow","src_ip":"192.0.2.7","#,
            r#""dest_ip":"198.51.100.1","proto":"TCP","host":"sensor","flow_id":7}"#,
        ));
        for (at, expected) in [
            ("/type", "suricata"),
            ("/dataset", "suricata.eve"),
            ("/time", "2026-11-24T08:00:00Z"),
            ("/fields/source.ip", "192.0.2.7"),
            ("/from/source.ip", "suricata.eve.src_ip"),
            ("/left_over/suricata.eve.proto", "TCP"),
        ] {
            assert_eq!(told.pointer(at).and_then(Value::as_str), Some(expected), "{at}: {told}");
        }
        assert_eq!(told["left_over"].get("suricata.eve.src_ip"), None);
        assert_eq!(told["rejection"], Value::Null);
    }

    #[test]
    fn what_is_rejected_flagged_or_protected_is_told() {
        let told = of("no log line at all");
        let reason = told["rejection"].as_str().unwrap();
        assert!(reason.starts_with("neither a JSON object nor a line of syslog"), "{reason}");
        assert_eq!(told["flags"], serde_json::json!(["NO_TIME"]));
        let told = of(r#"{"note":"card 4111111111111111","many":[1,2]}"#);
        assert_eq!((&told["type"], &told["protected"]), (&"json".into(), &1.into()));
        assert!(!told.to_string().contains("4111"), "{told}");
        assert_eq!(told["left_over"]["json.many"], serde_json::json!([1, 2]));
    }
}
