//! What the entries of a directory say, as rows of a register. A register with a row that does not hold is not read at
//! all, so what would not hold is left out here, and counted.

use super::Directory;
use crate::{
    enrich::register::{Kind, NETWORKS_MAX, ROWS_MAX, VALUE_BYTES_MAX, network},
    hex::hex,
};
use anyhow::{Context as _, ensure};
use ldap3::SearchEntry;
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Write as _,
};

/// Twice what 200,000 rows of some 300 bytes are.
const BYTES_MAX: usize = 128 << 20;
/// Between the keys of one row, as registers have it.
const KEYS_APART: char = ';';

/// What came of a pull.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pulled {
    pub(super) rows: usize,
    /// Entries that nothing would find.
    pub(super) left_out: usize,
    /// Keys that another entry has already.
    pub(super) doubled: usize,
}

/// The entries that came so far.
pub(super) struct Rows {
    columns: Vec<Column>,
    /// Each with its entry's name, and a value for each column.
    named: Vec<(Box<str>, Vec<Box<str>>)>,
    bytes: usize,
    pulled: Pulled,
}

struct Column {
    name: String,
    attribute: String,
    holds: Holds,
}

#[derive(Clone, Copy, Hash, PartialEq, Eq)]
enum Holds {
    /// By which rows are found: names, or addresses and networks.
    Names,
    Addresses,
    Text,
}

/// Which row has a key.
#[derive(Default)]
struct Taken {
    by: HashMap<(Holds, String), usize>,
    networks: usize,
}

impl Rows {
    pub(super) fn new(directory: &Directory) -> Self {
        let keys = directory.kind.keys();
        let column = |(name, attribute): &(String, String)| {
            let holds = match name.as_str() {
                "ip" if directory.kind == Kind::Assets => Holds::Addresses,
                name if keys.contains(&name) => Holds::Names,
                _ => Holds::Text,
            };
            Column { name: name.clone(), attribute: attribute.clone(), holds }
        };
        let columns = directory.columns.iter().map(column).collect();
        Self { columns, named: Vec::new(), bytes: 0, pulled: Pulled::default() }
    }

    pub(super) fn add(&mut self, entry: &SearchEntry) -> anyhow::Result<()> {
        let row: Vec<_> = self.columns.iter().map(|column| column.value(entry)).collect();
        let mut columns = self.columns.iter().zip(&row);
        if !columns.any(|(column, value)| column.holds != Holds::Text && !value.is_empty()) {
            self.pulled.left_out += 1;
            return Ok(());
        }
        ensure!(self.named.len() < ROWS_MAX, "more than {ROWS_MAX} entries; narrow filter or base");
        self.bytes += row.iter().map(|value| value.len()).sum::<usize>();
        ensure!(
            self.bytes <= BYTES_MAX,
            "more than {} MiB; ask for fewer columns, or narrow filter or base",
            BYTES_MAX >> 20
        );
        self.named.push((entry.dn.as_str().into(), row));
        Ok(())
    }

    /// The register's file. Where two entries have one key, the first by name keeps it.
    pub(super) fn finish(mut self) -> anyhow::Result<(Vec<u8>, Pulled)> {
        self.named.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut writer = csv::Writer::from_writer(Vec::with_capacity(self.bytes));
        writer.write_record(self.columns.iter().map(|column| &column.name))?;
        let (mut taken, mut pulled) = (Taken::default(), self.pulled);
        for (nth, (_, mut row)) in self.named.into_iter().enumerate() {
            let mut found = false;
            for (column, value) in self.columns.iter().zip(&mut row) {
                if column.holds == Holds::Text {
                    continue;
                }
                let all = value.split(KEYS_APART).filter(|key| !key.is_empty()).count();
                let free: Vec<_> = value
                    .split(KEYS_APART)
                    .filter(|key| taken.take(column.holds, key, nth))
                    .collect();
                pulled.doubled += all - free.len();
                found |= !free.is_empty();
                *value = free.join(";").into();
            }
            if found {
                writer.write_record(row.iter().map(|value| value.as_bytes()))?;
                pulled.rows += 1;
            } else {
                pulled.left_out += 1;
            }
        }
        let text = writer.into_inner().context("cannot write the rows")?;
        Ok((text, pulled))
    }
}

impl Taken {
    /// Whether a register takes `key` for row `nth`.
    fn take(&mut self, holds: Holds, key: &str, nth: usize) -> bool {
        let (key, wide) = match holds {
            Holds::Addresses => {
                let Some(net) = network(key) else { return false };
                (net.trunc().to_string(), net.prefix_len() < net.max_prefix_len())
            }
            Holds::Names | Holds::Text => (key.to_lowercase(), false),
        };
        if key.is_empty() || (wide && self.networks == NETWORKS_MAX) {
            return false;
        }
        match self.by.entry((holds, key)) {
            Entry::Occupied(before) => *before.get() == nth,
            Entry::Vacant(free) => {
                free.insert(nth);
                self.networks += usize::from(wide);
                true
            }
        }
    }
}

impl Column {
    /// What the entry says for this column, in the form and length that a register has it.
    fn value(&self, entry: &SearchEntry) -> Box<str> {
        let is_ours = |name: &str| name.eq_ignore_ascii_case(&self.attribute);
        let texts = entry.attrs.iter().filter(|(name, _)| is_ours(name));
        let texts = texts.flat_map(|(_, values)| values).map(String::as_bytes);
        let bytes = entry.bin_attrs.iter().filter(|(name, _)| is_ours(name));
        let bytes = bytes.flat_map(|(_, values)| values).map(Vec::as_slice);
        let values = texts.chain(bytes).map(|value| text_of(&self.attribute, value));
        let values = values.filter(|value| !value.is_empty());
        match self.holds {
            Holds::Text => cut(values.collect::<Vec<_>>().join(", ")),
            Holds::Names => keys(values),
            Holds::Addresses => keys(values.filter(|value| network(value).is_some())),
        }
    }
}

/// As many as a register takes in one value.
fn keys(values: impl Iterator<Item = String>) -> Box<str> {
    let mut all = String::new();
    for key in values.filter(|key| !key.contains(KEYS_APART)) {
        let apart = usize::from(!all.is_empty());
        if all.len() + apart + key.len() <= VALUE_BYTES_MAX {
            all.extend((apart > 0).then_some(KEYS_APART));
            all.push_str(&key);
        }
    }
    all.into()
}

/// What is too long ends with `…`.
fn cut(mut text: String) -> Box<str> {
    const END: &str = "…";
    if text.len() > VALUE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX - END.len()));
        text.push_str(END);
    }
    text.into()
}

/// A value as people write it; what is no text in hex digits.
fn text_of(attribute: &str, value: &[u8]) -> String {
    let known = match attribute.to_ascii_lowercase().as_str() {
        "objectguid" => guid(value),
        "objectsid" | "sidhistory" => sid(value),
        _ => None,
    };
    let shown = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let text = || std::str::from_utf8(value).ok().filter(|text| text.chars().all(shown));
    known.or_else(|| text().map(|text| text.trim().to_owned())).unwrap_or_else(|| hex(value))
}

/// As Windows writes it: the first three numbers are stored with their lowest byte first (MS-DTYP 2.3.4).
fn guid(value: &[u8]) -> Option<String> {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let bytes: [u8; 16] = value.try_into().ok()?;
    let hex = hex(&ORDER.map(|at| bytes[at]));
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Some([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

/// As Windows writes it in its events: `S-1-5-21-…` (MS-DTYP 2.4.2.2).
fn sid(value: &[u8]) -> Option<String> {
    let ([revision, count, authority @ ..], rest) = value.split_first_chunk::<8>()?;
    let (numbers, left) = rest.as_chunks::<4>();
    if numbers.len() != usize::from(*count) || !left.is_empty() {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut text = format!("S-{revision}-{authority}");
    for number in numbers {
        write!(text, "-{}", u32::from_le_bytes(*number)).ok()?;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::{directory::config, register::Register};
    use custos_event::FieldTable;

    fn directory(kind: &str, columns: &str) -> Directory {
        let text = format!(
            "name = \"d\"\nkind = \"{kind}\"\nurl = \"ldaps://d\"\nbase = \"dc=d\"\n[columns]\n{columns}"
        );
        config::check(vec![toml::from_str(&text).unwrap()], &|path| path).unwrap().remove(0)
    }

    fn entry(dn: &str, values: &[(&str, &[&[u8]])]) -> SearchEntry {
        let (mut attrs, mut bin_attrs) = (HashMap::new(), HashMap::new());
        for (name, values) in values {
            let texts = values.iter().map(|v| String::from_utf8(v.to_vec())).collect();
            match texts {
                Ok(texts) => drop(attrs.insert((*name).to_owned(), texts)),
                Err(_) => drop(
                    bin_attrs
                        .insert((*name).to_owned(), values.iter().map(|v| v.to_vec()).collect()),
                ),
            }
        }
        SearchEntry { dn: dn.into(), attrs, bin_attrs }
    }

    /// The file of these entries, which a register is read from.
    fn file(directory: &Directory, entries: &[SearchEntry]) -> (String, Pulled) {
        let mut rows = Rows::new(directory);
        for entry in entries {
            rows.add(entry).unwrap();
        }
        let (text, pulled) = rows.finish().unwrap();
        Register::parse(directory.kind, &text, &FieldTable::new()).unwrap();
        (String::from_utf8(text).unwrap(), pulled)
    }

    const PEOPLE: &str = "user = \"uid\"\nemail = \"mail\"\nfull_name = \"cn\"\n";

    #[test]
    fn keys_stand_apart_as_registers_have_it_and_other_values_as_people_read_them() {
        let anna = entry(
            "uid=anna",
            &[
                ("UID", &[b"anna", b"adm.anna", b"no;key"]),
                ("cn", &[b"Berg, \"Anna\"\nSofia", "李雷".as_bytes()]),
                ("mail;lang-de", &[b"other@bank.example"]),
            ],
        );
        let (text, pulled) = file(&directory("identities", PEOPLE), &[anna]);
        let expected = "email,full_name,user\n,\"Berg, \"\"Anna\"\"\nSofia, 李雷\",anna;adm.anna\n";
        assert_eq!(text, expected);
        assert_eq!(pulled, Pulled { rows: 1, ..Pulled::default() });
    }

    #[test]
    fn what_a_register_would_refuse_is_left_out_and_counted() {
        let long = "é".repeat(200);
        let entries = [
            entry("uid=b", &[("uid", &[b"li"]), ("mail", &[b"ANNA@bank.example"])]),
            entry("uid=a", &[("uid", &[b"anna"]), ("mail", &[b"anna@bank.example", b" ANNA "])]),
            entry("uid=c", &[("cn", &[b"Printer"])]),
            entry("uid=d", &[("uid", &[b"li"])]),
            entry("uid=e", &[("uid", &[&[b'x'; 300], b"e"]), ("cn", &[long.as_bytes()])]),
        ];
        let (text, pulled) = file(&directory("identities", PEOPLE), &entries);
        let cut = format!("{}…", "é".repeat(126));
        assert_eq!(
            text,
            format!("email,full_name,user\nanna@bank.example;ANNA,,anna\n,,li\n,{cut},e\n")
        );
        assert_eq!(pulled, Pulled { rows: 3, left_out: 2, doubled: 2 });
        let assets = directory("assets", "ip = \"ipHostNumber\"\nhostname = \"cn\"\n");
        let entries = [
            entry("cn=a", &[("cn", &[b"gate"]), ("ipHostNumber", &[b"10.1.1.1", b"10.1.1.300"])]),
            entry("cn=b", &[("cn", &[b"b"]), ("ipHostNumber", &[b"10.1.1.1/32", b"10.2.0.0/16"])]),
            entry("cn=c", &[("ipHostNumber", &[b"10.2.3.4/16"])]),
        ];
        let (text, pulled) = file(&assets, &entries);
        assert_eq!(text, "hostname,ip\ngate,10.1.1.1\nb,10.2.0.0/16\n");
        assert_eq!(pulled, Pulled { rows: 2, left_out: 1, doubled: 2 });
    }

    #[test]
    fn numbers_of_windows_are_written_as_windows_does_and_other_bytes_in_hex() {
        let sid = [1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xf4, 1, 0, 0];
        assert_eq!(text_of("objectSid", &sid), "S-1-5-21-500");
        assert_eq!(text_of("objectSid", &sid[..15]), hex(&sid[..15]));
        let guid: Vec<u8> = (0..16).collect();
        assert_eq!(text_of("objectGUID", &guid), "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(text_of("photo", &[0xff, 0xd8]), "ffd8");
        assert_eq!(text_of("photo", b"a\0"), "6100");
        assert_eq!(text_of("cn", " 李雷 ".as_bytes()), "李雷");
    }

    #[test]
    fn more_entries_than_a_register_takes_are_an_error_that_names_the_mend() {
        let mut rows = Rows::new(&directory("identities", "user = \"uid\"\n"));
        let one = entry("uid=a", &[("uid", &[b"a"])]);
        let added = (0..=ROWS_MAX).find_map(|_| rows.add(&one).err());
        let error = added.unwrap().to_string();
        assert!(error.contains("200000") && error.contains("narrow filter"), "{error}");
    }
}
