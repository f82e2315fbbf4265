//! `custos rules make-list FILE`: values of a text, a CSV or a STIX 2.1 bundle as a list that rules ask for by its name.

use super::taxii::Taxii;
use crate::{
    clock::SystemClock,
    exit::{CommandResult, Failure, Outcome},
    output::Output,
};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use custos_event::{Clock as _, Timestamp};
use regex::Regex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// A rule file has at most 1 MiB; what it is made of has names and descriptions besides.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Args)]
pub(in crate::cli) struct MakeList {
    /// By which rules ask for it, as `%NAME%`.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// For people [default: the name].
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Of a CSV with a head: the column that has the values.
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Of a STIX bundle: which observables, as in `ipv4-addr`, `domain-name`, `url`, `file`.
    #[arg(long, value_name = "TYPE", conflicts_with = "column")]
    observable: Option<String>,
    #[command(flatten)]
    taxii: Taxii,
    /// One value a line, `#` before a remark; a CSV with --column; or a STIX 2.1 bundle.
    #[arg(value_name = "FILE", required_unless_present = "taxii", conflicts_with = "taxii")]
    file: Option<PathBuf>,
}

impl MakeList {
    pub(super) fn run(self) -> CommandResult {
        let cannot = || {
            let file = self.file.as_ref().map(|file| file.display().to_string());
            let of = file.or_else(|| self.taxii.url().map(str::to_owned)).unwrap_or_default();
            format!("cannot make a list of {of}")
        };
        let values = self.values().with_context(cannot).map_err(Failure::input)?;
        let mut output = Output::new();
        for line in self.document(&values).lines() {
            output.text(line)?;
        }
        output.flush()?;
        eprintln!("{} values", values.len());
        Ok(Outcome::Done)
    }

    fn values(&self) -> anyhow::Result<BTreeSet<String>> {
        let text = match (&self.file, self.taxii.url()) {
            (Some(file), _) => read(file)?,
            (None, Some(url)) => self.taxii.bundle(url)?,
            (None, None) => bail!("neither a file nor --taxii is given"),
        };
        let values = if let Some(column) = &self.column {
            of_csv(&text, column)?
        } else if text.trim_start().starts_with('{') {
            of_stix(&text, self.observable.as_deref())?
        } else {
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        ensure!(!values.is_empty(), "there is no value in it");
        Ok(values)
    }

    /// As YAML; JSON's quoting of a text is YAML's too.
    fn document(&self, values: &BTreeSet<String>) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let title = self.title.as_deref().unwrap_or(&self.name);
        let mut text = format!(
            "title: {}\nid: {}\nname: {}\nlist:\n",
            quoted(title),
            id_of(&self.name),
            quoted(&self.name)
        );
        for value in values {
            writeln!(text, "    - {}", quoted(value)).ok();
        }
        text
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::metadata(file)?.len();
    ensure!(bytes <= FILE_BYTES_MAX, "it has {bytes} bytes, the limit is {FILE_BYTES_MAX}");
    String::from_utf8(fs::read(file)?).context("it is not UTF-8")
}

fn of_csv(text: &str, column: &str) -> anyhow::Result<BTreeSet<String>> {
    let head = text.lines().next().unwrap_or_default();
    let separator = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let names = reader.headers().context("it has no head")?.clone();
    let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(column)) else {
        let known = names.iter().collect::<Vec<_>>().join(", ");
        bail!("it has no column '{column}'; it has: {known}");
    };
    let mut values = BTreeSet::new();
    for record in reader.records() {
        let record = record?;
        values.extend(record.get(at).filter(|value| !value.is_empty()).map(str::to_owned));
    }
    Ok(values)
}

/// What indicators that are neither revoked nor over compare with `=`: addresses, names, hashes. What else a pattern says, as when both
/// of two have to be there, a list cannot say.
fn of_stix(text: &str, wanted: Option<&str>) -> anyhow::Result<BTreeSet<String>> {
    let bundle: Value = serde_json::from_str(text)?;
    ensure!(bundle["type"] == "bundle", "it is JSON, but no STIX bundle (no \"type\": \"bundle\")");
    let compares = Regex::new(r"([a-z0-9-]+):[\w.'\-]+\s*=\s*'((?:[^'\\]|\\.)*)'")?;
    let (mut values, now) = (BTreeSet::new(), SystemClock.now());
    for object in bundle["objects"].as_array().into_iter().flatten() {
        let is_pattern = object["type"] == "indicator" && object["pattern_type"] == "stix";
        let is_over = object["valid_until"].as_str().and_then(|until| until.parse().ok());
        let is_over = is_over.is_some_and(|until: Timestamp| until <= now);
        if !is_pattern || object["revoked"] == true || is_over {
            continue;
        }
        for found in compares.captures_iter(object["pattern"].as_str().unwrap_or_default()) {
            let (_, [kind, value]) = found.extract();
            if wanted.is_none_or(|wanted| wanted == kind) {
                values.insert(value.replace("\\'", "'").replace("\\\\", "\\"));
            }
        }
    }
    Ok(values)
}

/// The same for the same name, so that newer values are another version of the same list: a UUID of version 8.
fn id_of(name: &str) -> String {
    let digest = Sha256::digest(format!("custos list\0{name}").as_bytes());
    let mut bytes: Vec<u8> = digest.iter().take(16).copied().collect();
    for (at, keep, set) in [(6, 0x0f, 0x80), (8, 0x3f, 0x80)] {
        if let Some(byte) = bytes.get_mut(at) {
            *byte = *byte & keep | set;
        }
    }
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str, column: Option<&str>, observable: Option<&str>) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("values");
        fs::write(&file, text).unwrap();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (column, observable) = (owned(column), owned(observable));
        let (name, title, taxii) = ("bad".into(), None, Taxii::default());
        let make = MakeList { name, title, column, observable, taxii, file: Some(file) };
        make.values().map(|values| make.document(&values)).map_err(|error| format!("{error:#}"))
    }

    fn values(document: &str) -> Vec<String> {
        let parsed = custos_detect::parse(document, "l.yml");
        assert!(parsed.errors.is_empty() && parsed.rules[0].is_list(), "{:?}", parsed.errors);
        let lines = document.lines().filter_map(|line| line.strip_prefix("    - "));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_columns_and_indicators_become_a_list() {
        let lines =
            made("# ours\n203.0.113.7  # seen twice\n\nevil.example\n", None, None).unwrap();
        assert_eq!(values(&lines), ["203.0.113.7", "evil.example"]);
        let csv = "name;Address\n\"x; y\";203.0.113.7\nz; 198.51.100.1 \n";
        assert_eq!(
            values(&made(csv, Some("address"), None).unwrap()),
            ["198.51.100.1", "203.0.113.7"]
        );
        let stix = r#"{"type":"bundle","objects":[
            {"type":"indicator","pattern_type":"stix","pattern":"[ipv4-addr:value = '203.0.113.7' OR domain-name:value = 'it\\'s.example']"},
            {"type":"indicator","pattern_type":"stix","pattern":"[file:hashes.'SHA-256' = 'aa11']"},
            {"type":"indicator","pattern_type":"stix","revoked":true,"pattern":"[ipv4-addr:value = '203.0.113.8']"},
            {"type":"indicator","pattern_type":"stix","valid_until":"2026-01-01T00:00:00Z","pattern":"[ipv4-addr:value = '203.0.113.9']"},
            {"type":"malware","name":"m"}]}"#;
        assert_eq!(
            values(&made(stix, None, None).unwrap()),
            ["203.0.113.7", "aa11", "it's.example"]
        );
        assert_eq!(values(&made(stix, None, Some("ipv4-addr")).unwrap()), ["203.0.113.7"]);
    }

    #[test]
    fn a_list_keeps_its_id_and_what_is_no_list_is_told() {
        assert_eq!(id_of("bad"), id_of("bad"));
        assert_ne!(id_of("bad"), id_of("good"));
        assert_eq!((id_of("bad").len(), id_of("bad").as_bytes()[14]), (36, b'8'));
        let told = |text: &str, column| made(text, column, None).unwrap_err();
        assert!(told("a,b\n1,2\n", Some("c")).contains("no column 'c'; it has: a, b"));
        assert!(told("{\"type\":\"x\"}", None).contains("no STIX bundle"));
        assert!(told("# nothing\n", None).contains("no value"));
    }
}
