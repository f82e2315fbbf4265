//! An export becomes rows: CSV, or a ZIP of such; what is in a column is told by its header, whatever its case.

use crate::{
    crm::{
        place::{Row, Window},
        trouble::Trouble,
        without_nothing,
    },
    decode::time,
};
use bytes::Bytes;
use csv::{ByteRecord, ReaderBuilder};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashSet,
    io::{Cursor, Read},
};
use zip::ZipArchive;

/// Zoho puts 100,000 rows into a file; as text they take some 20 MiB. More is asked for in shorter stretches.
pub(crate) const DOWNLOAD_BYTES_MAX: u64 = 64 << 20;
/// Of all files of a download together: held in memory with the rows made of it, some 250 MiB.
const INFLATED_BYTES_MAX: u64 = 96 << 20;
/// Rows of one stretch.
const ROWS_MAX: usize = 200_000;
/// Zoho splits a million rows into ten.
const FILES_MAX: usize = 64;
/// An audit log has about ten.
const COLUMNS_MAX: usize = 100;

const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
const EMPTY_ZIP_MAGIC: &[u8] = b"PK\x05\x06";
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// Rows that do not say when they were: Zoho gives the second at a border of two stretches to both, and nothing but the
/// row itself tells that it came before. What is held here ends with the process.
#[derive(Debug, Default)]
pub(crate) struct Untimed {
    window: Option<Window>,
    before: HashSet<[u8; 32]>,
    here: HashSet<[u8; 32]>,
}

impl Untimed {
    /// A stretch is asked for: the next one, the same once more, or another.
    pub(crate) fn begin(&mut self, window: Window) {
        let here = std::mem::take(&mut self.here);
        match self.window.replace(window) {
            Some(last) if last.to == window.from => self.before = here,
            Some(last) if last.from == window.from => {}
            _ => self.before.clear(),
        }
    }

    fn is_new(&mut self, row: [u8; 32]) -> bool {
        self.here.insert(row);
        !self.before.contains(&row)
    }
}

/// What the rows of a stretch are gathered in.
pub(crate) struct Gathering<'u> {
    pub(crate) window: Window,
    pub(crate) untimed: &'u mut Untimed,
    pub(crate) rows: Vec<Row>,
}

/// Adds the rows of one download that belong to the stretch.
pub(crate) fn read(body: &Bytes, into: &mut Gathering<'_>) -> Result<(), Trouble> {
    if !body.starts_with(ZIP_MAGIC) && !body.starts_with(EMPTY_ZIP_MAGIC) {
        return file(body, into);
    }
    let odd = |what: &dyn std::fmt::Display| Trouble::Odd(format!("the export's ZIP: {what}"));
    let mut archive = ZipArchive::new(Cursor::new(&body[..])).map_err(|error| odd(&error))?;
    if archive.len() > FILES_MAX {
        return Err(odd(&format!("it has more than {FILES_MAX} files")));
    }
    let mut left = INFLATED_BYTES_MAX;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|error| odd(&error))?;
        if !entry.is_file() {
            continue;
        }
        let mut text = Vec::new();
        let read = entry.take(left.saturating_add(1)).read_to_end(&mut text);
        let read = read.map_err(|error| odd(&error))? as u64;
        left = left.checked_sub(read).ok_or_else(|| {
            Trouble::TooLarge(format!(
                "the export inflates to more than {INFLATED_BYTES_MAX} bytes"
            ))
        })?;
        file(&text, into)?;
    }
    Ok(())
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    User,
    Module,
    Action,
    Time,
    Name,
    Id,
    Ip,
}

/// By every name that is known for it.
fn meaning(header: &str) -> Option<Means> {
    let name: String = header.to_lowercase().replace(['_', '-'], " ");
    Some(match name.trim() {
        "user" | "done by" | "user name" | "performed by" => Means::User,
        "module" | "module name" => Means::Module,
        "action" => Means::Action,
        "audited time" | "time" | "date and time" => Means::Time,
        "record name" | "record" => Means::Name,
        "record id" => Means::Id,
        "ip address" | "ip" => Means::Ip,
        _ => return None,
    })
}

fn file(text: &[u8], into: &mut Gathering<'_>) -> Result<(), Trouble> {
    let text = text.strip_prefix(UTF8_BOM).unwrap_or(text);
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(text);
    let odd = |error: csv::Error| Trouble::Odd(format!("the export's CSV: {error}"));
    let header = reader.byte_headers().map_err(odd)?.clone();
    if header.is_empty() {
        return Ok(());
    }
    let columns = columns(&header)?;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(odd)? {
        if record.len() > COLUMNS_MAX {
            return Err(Trouble::Odd(format!(
                "a row of the export has more than {COLUMNS_MAX} columns"
            )));
        }
        if into.rows.len() == ROWS_MAX {
            return Err(Trouble::TooLarge(format!("the export has more than {ROWS_MAX} rows")));
        }
        let row = row(&columns, &record, into);
        into.rows.extend(row);
    }
    Ok(())
}

struct Column {
    name: String,
    means: Option<Means>,
}

/// A page that tells of an error instead is no header.
fn columns(header: &ByteRecord) -> Result<Vec<Column>, Trouble> {
    let column = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).trim().to_owned();
        let means = meaning(&name);
        Column { name, means }
    };
    let columns: Vec<_> = header.iter().map(column).collect();
    let has = |wanted| columns.iter().any(|column| column.means == Some(wanted));
    if columns.len() > COLUMNS_MAX || !has(Means::Time) || !has(Means::Action) {
        let names: Vec<_> = columns.iter().take(12).map(|column| column.name.as_str()).collect();
        let names: String = names.join(", ").chars().take(200).collect();
        return Err(Trouble::Odd(format!(
            "the export's first line names no columns 'Audited Time' and 'Action', but: {}",
            names.escape_debug()
        )));
    }
    Ok(columns)
}

/// `None`: of another stretch, which has it or will.
fn row(columns: &[Column], record: &ByteRecord, into: &mut Gathering<'_>) -> Option<Row> {
    let mut whole = Map::new();
    for (at, value) in record.iter().enumerate() {
        let known =
            columns.get(at).map(|column| column.name.clone()).filter(|name| !name.is_empty());
        let mut name = known.unwrap_or_else(|| format!("column {}", at + 1));
        while whole.contains_key(&name) {
            name.push('_');
        }
        whole.insert(name, String::from_utf8_lossy(value).into());
    }
    let value = |wanted: Means| {
        let at = columns.iter().position(|column| column.means == Some(wanted))?;
        let text = String::from_utf8_lossy(record.get(at)?).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let time = value(Means::Time);
    let read = time.as_deref().and_then(time::iso).filter(|read| !read.completed);
    let second = read.map(|read| read.at.0.div_euclid(custos_event::time::NANOS_PER_SEC));
    if second.is_some_and(|second| !into.window.has(second)) {
        return None;
    }
    // What it holds, not how its columns are named today; of 200,000 rows the digests, not the rows a second time.
    let add = |digest: Sha256, value: &[u8]| {
        digest.chain_update((value.len() as u64).to_le_bytes()).chain_update(value)
    };
    let identity: [u8; 32] = record.iter().fold(Sha256::new(), add).finalize().into();
    if second.is_none() && !into.untimed.is_new(identity) {
        return None;
    }
    let row = json!({
        "time": time,
        "system": "zoho",
        "user": value(Means::User),
        "ip": value(Means::Ip),
        "action": value(Means::Action).unwrap_or_else(|| "unknown".into()),
        "module": value(Means::Module),
        "record": value(Means::Id),
        "name": value(Means::Name),
        "row": Value::Object(whole),
    });
    let json = without_nothing(row).to_string();
    let second = second.unwrap_or(into.window.to - 1);
    Some(Row { second, identity: identity.to_vec(), json: json.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    const DAY: Window = Window { from: 1_795_996_800, to: 1_796_083_200 };

    fn gathered(body: &[u8], window: Window, untimed: &mut Untimed) -> Result<Vec<Row>, Trouble> {
        untimed.begin(window);
        let mut into = Gathering { window, untimed, rows: Vec::new() };
        read(&Bytes::copy_from_slice(body), &mut into)?;
        Ok(into.rows)
    }

    fn read_all(body: &[u8]) -> Result<Vec<Value>, Trouble> {
        let mut untimed = Untimed::default();
        let rows = gathered(body, DAY, &mut untimed)?;
        Ok(rows.iter().map(|row| serde_json::from_slice(&row.json).unwrap()).collect())
    }

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn columns_are_told_by_their_header_and_what_is_not_known_is_kept() {
        let text = "\u{feff}DONE BY,Module,action,Audited Time,Record Name,Record ID,Old Value,,Old Value\r\n\
                    Mia,Leads,Updated,2026-11-30T01:00:00+01:00,\"Al \"\"A\"\", Inc\n& Co\",77,a,b,c,d\r\n";
        let rows = read_all(text.as_bytes()).unwrap();
        let whole = json!({
            "DONE BY": "Mia", "Module": "Leads", "action": "Updated", "Audited Time": "2026-11-30T01:00:00+01:00",
            "Record Name": "Al \"A\", Inc\n& Co", "Record ID": "77", "Old Value": "a", "column 8": "b",
            "Old Value_": "c", "column 10": "d",
        });
        let expected = json!({
            "time": "2026-11-30T01:00:00+01:00", "system": "zoho", "user": "Mia", "action": "Updated",
            "module": "Leads", "record": "77", "name": "Al \"A\", Inc\n& Co", "row": whole,
        });
        assert_eq!(rows, [expected]);
    }

    #[test]
    fn a_row_belongs_to_the_stretch_of_its_second_and_one_without_a_time_to_the_one_that_has_it() {
        let line = |time: &str| format!("User,Action,Time\nMia,View,{time}\n");
        for (time, count) in [
            ("2026-11-30T00:00:00Z", 1),
            ("2026-11-29T23:59:59Z", 0),
            ("2026-11-30T23:59:59.9Z", 1),
            ("2026-12-01T00:00:00Z", 0),
            ("2026-12-01T05:00:00+05:30", 1),
            ("yesterday", 1),
            ("2026-11-29 10:00:00", 1),
        ] {
            assert_eq!(read_all(line(time).as_bytes()).unwrap().len(), count, "{time}");
        }
    }

    #[test]
    fn a_row_is_known_again_under_other_names_of_its_columns() {
        let identity = |text: &str| {
            gathered(text.as_bytes(), DAY, &mut Untimed::default()).unwrap().remove(0).identity
        };
        let line = "Mia,View,2026-11-30T10:00:00Z";
        let one = identity(&format!("User,Action,Time\n{line}\n"));
        assert_eq!(identity(&format!("DONE BY,ACTION,Audited Time\n{line}\n")), one);
        assert_ne!(identity("User,Action,Time\nMi,aView,2026-11-30T10:00:00Z\n"), one);
    }

    #[test]
    fn a_row_without_a_time_that_two_stretches_have_is_taken_once_and_asked_for_again_once_more() {
        let next = Window { from: DAY.to, to: DAY.to + 300 };
        let body =
            b"User,Action,Time\nMia,View,\"Nov 30, 2026 11:59 PM\"\nAl,View,today\nAl,View,today\n";
        let both = b"User,Action,Time\nAl,View,today\nEve,View,now\n";
        let mut untimed = Untimed::default();
        let mut count = |body: &[u8], window| gathered(body, window, &mut untimed).unwrap().len();
        assert_eq!((count(body, DAY), count(body, DAY)), (3, 3));
        assert_eq!((count(both, next), count(both, next)), (1, 1));
        assert_eq!(count(both, Window { from: next.to + 9, to: next.to + 10 }), 2);
    }

    #[test]
    fn a_zip_gives_the_rows_of_all_its_files_and_a_bomb_none() {
        let one = b"User,Action,Time\nMia,View,2026-11-30T10:00:00Z\n";
        let rows = read_all(&zip(&[("a.csv", one), ("d/", b""), ("b.csv", one)])).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(read_all(&zip(&[])).unwrap().is_empty());
        let zeros = vec![b'0'; usize::try_from(INFLATED_BYTES_MAX).unwrap() + 1];
        let bomb = zip(&[("a.csv", &zeros)]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(read_all(&bomb).unwrap_err().kind(), "too_large");
        assert_eq!(read_all(b"PK\x03\x04nothing").unwrap_err().kind(), "odd");
    }

    #[test]
    fn what_is_no_export_is_told_with_what_it_is() {
        assert!(read_all(b"").unwrap().is_empty());
        let error = read_all(b"<html>\n<body>Sign in</body>\n").unwrap_err();
        assert!(
            error.text().contains("'Audited Time'") && error.text().contains("<html>"),
            "{error:?}"
        );
        let wide = format!("User,Action,Time\n{}\n", ",".repeat(COLUMNS_MAX));
        assert_eq!(read_all(wide.as_bytes()).unwrap_err().kind(), "odd");
    }

    proptest! {
        #[test]
        fn no_download_makes_it_panic(head in "(User,Action,Time\n)?(PK\x03\x04)?", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = [head.as_bytes(), &bytes].concat();
            for row in gathered(&body, DAY, &mut Untimed::default()).unwrap_or_default() {
                prop_assert!(serde_json::from_slice::<Value>(&row.json).is_ok());
            }
        }
    }
}
