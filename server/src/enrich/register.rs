//! Registers of what we own and who works here: CSV files, one row each, found by an address, a host's name or an account.

use super::Additions;
use anyhow::{Context as _, bail, ensure};
use custos_event::{FieldId, FieldTable, ValueRef, ecs};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    path::Path,
};

/// 200,000 people or machines at some 300 bytes each are 60 MB.
pub(super) const ROWS_MAX: usize = 200_000;
/// Each network costs a comparison for each address that no row names: at 2 ns some 2 µs.
pub(super) const NETWORKS_MAX: usize = 1_000;
const COLUMNS_MAX: usize = 32;
pub(super) const VALUE_BYTES_MAX: usize = 256;

/// What a register is of, which says by what its rows are found.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Assets,
    Identities,
}

impl Kind {
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Assets => &["ip", "hostname"],
            Self::Identities => &["user", "email", "id"],
        }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Assets => "assets",
            Self::Identities => "identities",
        }
    }
}

/// One file, read whole.
pub(super) struct Register {
    rows: Vec<Row>,
    addresses: HashMap<IpAddr, usize>,
    /// The narrowest first.
    networks: Vec<(IpNet, usize)>,
    /// By host's name, account or mail address, in lower case.
    names: HashMap<Box<str>, usize>,
    ends: Vec<End>,
}

/// Column and value of what is not empty.
type Row = Box<[(usize, Box<str>)]>;

/// A part of an event that rows are looked up for: the fields that may name one, and the field that each column becomes.
struct End {
    by: Vec<FieldId>,
    columns: Vec<FieldId>,
}

impl Register {
    pub(super) fn read(kind: Kind, path: &Path, table: &FieldTable) -> anyhow::Result<Self> {
        let told = || format!("[enrich] {}: {}", kind.option(), path.display());
        let text = std::fs::read(path).with_context(told)?;
        // Spreadsheets write a mark in front.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        Self::parse(kind, text, table).with_context(told)
    }

    pub(super) fn parse(kind: Kind, text: &[u8], table: &FieldTable) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let columns: Vec<String> = reader.headers()?.iter().map(str::to_lowercase).collect();
        check_columns(kind, &columns).context("line 1")?;
        let mut register = Self {
            rows: Vec::new(),
            addresses: HashMap::new(),
            networks: Vec::new(),
            names: HashMap::new(),
            ends: ends(kind, &columns, table),
        };
        let mut lines = Vec::new();
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, |at| line_of(text, at));
            register
                .add(kind, &columns, &record, &lines)
                .with_context(|| format!("line {line}"))?;
            lines.push(line);
        }
        register.networks.sort_by_key(|(net, _)| (std::cmp::Reverse(net.prefix_len()), *net));
        Ok(register)
    }

    fn add(
        &mut self,
        kind: Kind,
        columns: &[String],
        record: &csv::StringRecord,
        lines: &[u64],
    ) -> anyhow::Result<()> {
        let nth = self.rows.len();
        ensure!(nth < ROWS_MAX, "more than {ROWS_MAX} rows");
        let (mut row, mut found) = (Vec::new(), 0);
        for (column, value) in record.iter().enumerate().filter(|(_, value)| !value.is_empty()) {
            let name = columns.get(column).map_or("", String::as_str);
            ensure!(
                value.len() <= VALUE_BYTES_MAX,
                "'{name}' has {} bytes; at most {VALUE_BYTES_MAX}",
                value.len()
            );
            if kind.keys().contains(&name) {
                for key in value.split(';').map(str::trim).filter(|key| !key.is_empty()) {
                    self.key(name, key, nth, lines)?;
                    found += 1;
                }
            }
            row.push((column, value.into()));
        }
        ensure!(found > 0, "has none of {}, so that nothing finds it", kind.keys().join(", "));
        self.rows.push(row.into());
        Ok(())
    }

    /// Says that `key` finds row `nth`.
    fn key(&mut self, column: &str, key: &str, nth: usize, lines: &[u64]) -> anyhow::Result<()> {
        let before = if column == "ip" {
            let Some(net) = network(key) else {
                bail!("ip: '{key}' is no address or network, as in 10.20.0.7 or 10.20.0.0/16");
            };
            if net.prefix_len() == net.max_prefix_len() {
                taken(self.addresses.entry(net.addr()), nth)
            } else {
                self.network(net.trunc(), nth)?
            }
        } else {
            taken(self.names.entry(key.to_lowercase().into()), nth)
        };
        match before.filter(|before| *before != nth).and_then(|before| lines.get(before)) {
            Some(line) => bail!("{column}: '{key}' stands in line {line} already"),
            None => Ok(()),
        }
    }

    fn network(&mut self, net: IpNet, nth: usize) -> anyhow::Result<Option<usize>> {
        let before = self.networks.iter().find(|(known, _)| *known == net).map(|(_, row)| *row);
        ensure!(self.networks.len() < NETWORKS_MAX, "more than {NETWORKS_MAX} networks");
        self.networks.push((net, nth));
        Ok(before)
    }

    /// Adds what is known of each part of an event.
    pub(super) fn enrich(&self, add: &mut Additions<'_>) {
        for end in &self.ends {
            let found = end.by.iter().find_map(|field| match add.event().get(*field) {
                Some(ValueRef::Str(text)) => self.find(text),
                _ => None,
            });
            for (column, value) in found.into_iter().flat_map(|row| &self.rows[row]) {
                if let Some(field) = end.columns.get(*column) {
                    add.one(*field, ValueRef::Str(value));
                }
            }
        }
    }

    fn find(&self, text: &str) -> Option<usize> {
        if let Ok(address) = text.parse::<IpAddr>() {
            let within = || self.networks.iter().find(|(net, _)| net.contains(&address));
            let exact = self.addresses.get(&address).copied();
            return exact.or_else(|| within().map(|(_, row)| *row));
        }
        let lower = if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            Cow::Owned(text.to_lowercase())
        } else {
            Cow::Borrowed(text)
        };
        let of = |name: &str| self.names.get(name).copied();
        // `BANK\anna` is anna, and gate.bank.example is gate, unless the register knows the whole.
        let without_domain = || lower.rsplit_once('\\').and_then(|(_, name)| of(name));
        let short = || {
            lower.split_once('.').filter(|_| !lower.contains('@')).and_then(|(name, _)| of(name))
        };
        of(&lower).or_else(without_domain).or_else(short)
    }
}

/// A network, or an address as the network that holds it alone.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok())
}

/// The line of a record, whose position is the end of the one before: empty lines come between.
fn line_of(text: &[u8], at: &csv::Position) -> u64 {
    let from = usize::try_from(at.byte()).ok().and_then(|byte| text.get(byte..));
    let ends = from.unwrap_or_default().iter().take_while(|byte| b"\r\n".contains(byte));
    ends.filter(|byte| **byte == b'\n').fold(at.line(), |line, _| line + 1)
}

/// The row that a key found before.
fn taken<K>(entry: Entry<'_, K, usize>, nth: usize) -> Option<usize> {
    match entry {
        Entry::Occupied(before) => Some(*before.get()),
        Entry::Vacant(free) => {
            free.insert(nth);
            None
        }
    }
}

pub(super) fn check_columns(kind: Kind, columns: &[String]) -> anyhow::Result<()> {
    ensure!(columns.len() <= COLUMNS_MAX, "{} columns; at most {COLUMNS_MAX}", columns.len());
    for (nth, name) in columns.iter().enumerate() {
        let fits = name.len() <= 40
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        ensure!(fits, "'{name}' is no name of a column, as in owner or cost_centre");
        ensure!(!columns[..nth].contains(name), "two columns are called '{name}'");
    }
    let keys = kind.keys();
    ensure!(
        columns.iter().any(|column| keys.contains(&column.as_str())),
        "none of the columns {} is there, so that nothing finds a row",
        keys.join(", ")
    );
    Ok(())
}

fn ends(kind: Kind, columns: &[String], table: &FieldTable) -> Vec<End> {
    let end = |by: Vec<FieldId>, field: &dyn Fn(&str) -> FieldId| End {
        by,
        columns: columns.iter().map(|column| field(column)).collect(),
    };
    let asset = |part: &'static str| {
        move |column: &str| table.intern(&format!("custos.{part}.asset.{column}"))
    };
    match kind {
        Kind::Assets => vec![
            end(vec![ecs::SOURCE_IP], &asset("source")),
            end(vec![ecs::DESTINATION_IP], &asset("destination")),
            end(vec![ecs::HOST_NAME, table.intern("host.hostname")], &asset("host")),
        ],
        Kind::Identities => {
            let field = |column: &str| match column {
                "full_name" => ecs::USER_FULL_NAME,
                "email" => ecs::USER_EMAIL,
                other => table.intern(&format!("custos.user.{other}")),
            };
            vec![end(vec![ecs::USER_NAME, ecs::USER_EMAIL, ecs::USER_ID], &field)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: Kind, text: &str) -> Result<Register, String> {
        let table = FieldTable::new();
        Register::parse(kind, text.as_bytes(), &table).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_row_is_found_by_the_closest_of_its_keys() {
        let text = "ip,hostname,owner\n10.0.0.0/8,,net\n10.1.0.0/16;2001:db8::/32,,branch\n\
                    10.1.1.1,Gate;till.bank.example,ops\n";
        let register = parsed(Kind::Assets, text).unwrap();
        let found = [
            ("10.1.1.1", Some(2)),
            ("10.1.9.9", Some(1)),
            ("2001:db8::5", Some(1)),
            ("10.9.9.9", Some(0)),
            ("192.0.2.1", None),
            ("GATE", Some(2)),
            ("gate.bank.example", Some(2)),
            ("till.bank.example", Some(2)),
            ("till", None),
        ];
        for (text, row) in found {
            assert_eq!(register.find(text), row, "{text}");
        }
        let people =
            parsed(Kind::Identities, "user,email\nanna;adm.anna,Anna@bank.example\n").unwrap();
        for text in ["anna", "BANK\\Anna", "ADM.anna", "anna@bank.example"] {
            assert_eq!(people.find(text), Some(0), "{text}");
        }
        assert_eq!(people.find("anna@shop.example"), None);
    }

    #[test]
    fn a_file_that_is_wrong_says_where_and_how_to_mend_it() {
        let told = |text: &str| parsed(Kind::Assets, text).err().unwrap_or_default();
        assert_eq!(
            told("owner\nx\n"),
            "line 1: none of the columns ip, hostname is there, so that nothing finds a row"
        );
        assert_eq!(told("ip,ip\n"), "line 1: two columns are called 'ip'");
        assert_eq!(
            told("ip,Cost Centre\n"),
            "line 1: 'cost centre' is no name of a column, as in owner or cost_centre"
        );
        assert_eq!(
            told("ip,owner\n10.0.0.1,a\n10.0.0.300,b\n"),
            "line 3: ip: '10.0.0.300' is no address or network, as in 10.20.0.7 or 10.20.0.0/16"
        );
        assert_eq!(
            told("ip,owner\n10.0.0.1,a\n\n10.0.0.1,b\n"),
            "line 4: ip: '10.0.0.1' stands in line 2 already"
        );
        assert_eq!(
            told("ip,owner\n10.0.0.0/8,a\n10.1.1.1/8,b\n"),
            "line 3: ip: '10.1.1.1/8' stands in line 2 already"
        );
        assert_eq!(
            told("ip,owner\n,a\n"),
            "line 2: has none of ip, hostname, so that nothing finds it"
        );
        assert!(told("ip,owner\n10.0.0.1\n").contains("line: 2"));
        assert!(told(&format!("ip,owner\n10.0.0.1,{}\n", "x".repeat(257))).contains("at most 256"));
    }
}
