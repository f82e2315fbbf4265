//! What a stand-in knows: marks on its tables, and the answers it gave. Pure; it is the fold of its log.

use custos_event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::Path,
};

/// Marks at most on one table, as a firewall's table has its end.
const MARKS_MAX: usize = 10_000;

/// Answers kept for a repeat of their key; the oldest goes first.
const ANSWERS_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    Put,
    Get,
    Delete,
}

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) table: String,
    pub(super) target: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout_secs: Option<u32>,
}

/// One line of the log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) time: Timestamp,
    #[serde(flatten)]
    pub(super) request: Request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    pub(super) status: u16,
    /// A known key: the answer was given again and nothing was done.
    pub(super) repeated: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) repeated: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Mark {
    target: String,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    tables: BTreeMap<String, BTreeMap<String, Mark>>,
    answers: BTreeMap<String, (Request, Answer)>,
    order: VecDeque<String>,
}

impl Book {
    pub(super) fn new(tables: &[&str]) -> Self {
        let tables = tables.iter().map(|table| ((*table).to_owned(), BTreeMap::new())).collect();
        Self { tables, ..Self::default() }
    }

    /// What the log says; a last line that a kill cut off was never answered and counts as nothing.
    pub(super) fn read(tables: &[&str], log: &Path) -> io::Result<Self> {
        let mut book = Self::new(tables);
        let text = match fs::read_to_string(log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(book),
            read => read?,
        };
        for line in text.lines() {
            if let Ok(entry) = serde_json::from_str::<Entry>(line) {
                book.take(&entry.request, entry.key.as_deref(), entry.time);
            }
        }
        Ok(book)
    }

    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Answers a request, and does what it asks for unless its key was seen.
    pub(super) fn take(&mut self, request: &Request, key: Option<&str>, now: Timestamp) -> Answer {
        let key = key.filter(|_| request.method != Method::Get);
        if let Some((before, answer)) = key.and_then(|key| self.answers.get(key)) {
            if before == request {
                return Answer { repeated: true, ..answer.clone() };
            }
            return refusal(422, "this Idempotency-Key was used for another request");
        }
        let answer = self.act(request, now);
        if let Some(key) = key {
            self.remember(key, request, &answer);
        }
        answer
    }

    fn act(&mut self, request: &Request, now: Timestamp) -> Answer {
        let Some(table) = self.tables.get_mut(&request.table) else {
            return refusal(404, "there is nothing of this kind here");
        };
        table.retain(|_, mark| mark.until.is_none_or(|until| until > now));
        match request.method {
            Method::Get => table.get(&request.target).map_or_else(absent, |mark| answer(200, mark)),
            Method::Delete => {
                table.remove(&request.target).as_ref().map_or_else(absent, |mark| answer(200, mark))
            }
            Method::Put => put(table, request, now),
        }
    }

    fn remember(&mut self, key: &str, request: &Request, answer: &Answer) {
        if self.order.len() == ANSWERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(key.to_owned());
        self.answers.insert(key.to_owned(), (request.clone(), answer.clone()));
    }

    /// Everything on a table.
    pub(super) fn list(&self, table: &str, now: Timestamp) -> Value {
        let marks = self.tables.get(table).into_iter().flat_map(BTreeMap::values);
        let marks: Vec<_> =
            marks.filter(|mark| mark.until.is_none_or(|until| until > now)).collect();
        json!({"targets": marks})
    }
}

fn put(table: &mut BTreeMap<String, Mark>, request: &Request, now: Timestamp) -> Answer {
    let Request { target, reason, timeout_secs, .. } = request;
    let before = table.get(target);
    if before.is_none() && table.len() >= MARKS_MAX {
        return refusal(507, "the table is full");
    }
    let (status, since) = before.map_or((201, now), |mark| (200, mark.since));
    let until = timeout_secs.map(|secs| now.plus_secs(i64::from(secs)));
    let mark = Mark { target: target.clone(), since, until, reason: reason.clone() };
    let given = answer(status, &mark);
    table.insert(target.clone(), mark);
    given
}

fn answer(status: u16, mark: &Mark) -> Answer {
    Answer { status, body: json!(mark), repeated: false }
}

fn absent() -> Answer {
    refusal(404, "it is not there")
}

pub(super) fn refusal(status: u16, error: &str) -> Answer {
    Answer { status, body: json!({"error": error}), repeated: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn block(method: Method, timeout_secs: Option<u32>) -> Request {
        let (table, target) = ("blocks".to_owned(), "203.0.113.9".to_owned());
        Request { method, table, target, reason: String::new(), timeout_secs }
    }

    fn check(book: &mut Book, request: &Request, key: Option<&str>, now: Timestamp, status: u16) {
        assert_eq!(book.take(request, key, now).status, status, "{request:?}");
    }

    #[test]
    fn what_is_put_is_there_until_it_is_deleted() {
        let mut book = Book::new(&["blocks"]);
        check(&mut book, &block(Method::Get, None), None, NOW, 404);
        check(&mut book, &block(Method::Put, None), None, NOW, 201);
        check(&mut book, &block(Method::Put, None), None, NOW, 200);
        check(&mut book, &block(Method::Get, None), None, NOW, 200);
        check(&mut book, &block(Method::Delete, None), None, NOW, 200);
        check(&mut book, &block(Method::Delete, None), None, NOW, 404);
    }

    #[test]
    fn a_timeout_ends_it() {
        let mut book = Book::new(&["blocks"]);
        check(&mut book, &block(Method::Put, Some(60)), None, NOW, 201);
        check(&mut book, &block(Method::Get, None), None, NOW.plus_secs(59), 200);
        check(&mut book, &block(Method::Get, None), None, NOW.plus_secs(60), 404);
    }

    #[test]
    fn a_repeated_key_is_answered_again_and_does_nothing() {
        let mut book = Book::new(&["blocks"]);
        let first = book.take(&block(Method::Put, None), Some("run-1"), NOW);
        check(&mut book, &block(Method::Delete, None), Some("run-2"), NOW, 200);
        let again = book.take(&block(Method::Put, None), Some("run-1"), NOW.plus_secs(5));
        assert_eq!(again, Answer { repeated: true, ..first });
        check(&mut book, &block(Method::Get, None), None, NOW, 404);
        check(&mut book, &block(Method::Put, Some(1)), Some("run-1"), NOW, 422);
    }

    #[test]
    fn the_log_gives_the_book_again_and_a_torn_line_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("firewall.jsonl");
        let (request, key) = (block(Method::Put, None), Some("run-1".to_owned()));
        let entry = Entry { time: NOW, request, key, status: 201, repeated: false };
        let line = serde_json::to_string(&entry).unwrap();
        fs::write(&log, format!("{line}\n{}", &line[..20])).unwrap();
        let mut book = Book::read(&["blocks"], &log).unwrap();
        check(&mut book, &block(Method::Get, None), None, NOW, 200);
        assert!(book.take(&block(Method::Put, None), Some("run-1"), NOW).repeated);
    }
}
