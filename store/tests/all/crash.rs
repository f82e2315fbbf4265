//! `kill -9` while appends are under way: no acknowledged entry is lost, none is there twice, no gap.
//!
//! The test runs itself as a child that appends and prints each acknowledgement; the parent kills it.

use crate::common::*;
use custos_event::{Append, LogId};
use custos_store::{Options, Store};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

const CHILD: &str = "CUSTOS_STORE_CRASH_CHILD";
/// With the appends of two threads under way all the time, nearly every kill comes in the middle of one.
const ROUNDS: (usize, usize) = (25, 1_000);

fn wanted() -> Options {
    let mut wanted = options();
    // Rolls and seals within a round.
    wanted.segment_bytes = 200_000;
    wanted
}

/// Appends for ever from two threads, and says what was acknowledged.
fn child(dir: &Path) {
    let (store, facts) = Store::open(dir, wanted()).unwrap();
    for fact in facts {
        println!("fact {fact:?}");
    }
    std::thread::scope(|scope| {
        for log in [LogId::TELEMETRY, LogId::JOURNAL] {
            let store = &store;
            scope.spawn(move || append_for_ever(store, log));
        }
    });
}

fn append_for_ever(store: &Store, log: LogId) {
    for n in 0_u64.. {
        let text = format!("{} {n} of {log}", std::process::id()).repeat(1 + (n % 40) as usize);
        let append: Append = append(log, &[&text, "second"]);
        say(&format!("begun {log}\n"));
        let place = store.append_blocking(append).unwrap();
        say(&format!("acked {log} {} {} {text}\n", place.commit, place.first));
    }
}

fn say(line: &str) {
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// Appends that were begun and not acknowledged when the child died: the kill came while they were under way.
#[derive(Default)]
struct UnderWay(std::collections::BTreeSet<String>);

impl UnderWay {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("begun"), Some(log)) => drop(self.0.insert(log.to_owned())),
            (Some("acked"), Some(log)) => drop(self.0.remove(log)),
            _ => {}
        }
    }
}

#[test]
fn no_acknowledged_entry_is_lost_to_kill_9() {
    if let Ok(dir) = std::env::var(CHILD) {
        return child(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acked = std::collections::BTreeMap::new();
    let (mut torn, mut mid_write) = (0, 0);
    let rounds = rounds(ROUNDS.0, ROUNDS.1);
    for round in 0..rounds {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["crash::no_acknowledged_entry_is_lost_to_kill_9", "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut count, mut under_way) = (0, UnderWay::default());
        while count < 5 + round * 7 % 60 {
            let line = lines.next().unwrap().unwrap();
            count += usize::from(line.starts_with("acked"));
            torn += usize::from(line.starts_with("fact TailCut"));
            under_way.hear(&line);
            take(&line, &mut acked);
        }
        process.kill().unwrap();
        // What it still said before it died was acknowledged too.
        for line in lines.map_while(Result::ok) {
            under_way.hear(&line);
            take(&line, &mut acked);
        }
        process.wait().unwrap();
        mid_write += usize::from(!under_way.0.is_empty());
    }
    println!(
        "kill -9: {rounds} kills, {mid_write} mid-write, {torn} torn tails, {} acknowledged",
        acked.len()
    );
    assert!(mid_write * 2 >= rounds, "{mid_write} of {rounds} kills came mid-write");
    let (store, _) = Store::open(dir.path(), wanted()).unwrap();
    let seen = follow_all(&store);
    let mut next = std::collections::BTreeMap::new();
    for (index, (commit, log, first, entries)) in seen.iter().enumerate() {
        assert_eq!(*commit, index as u64 + 1, "commits have no gap");
        let next = next.entry(*log).or_insert(0);
        assert_eq!(first, next, "places of {log} have no gap");
        *next += entries.len() as u64;
    }
    for ((log, first), (commit, text)) in acked {
        let (_, _, _, entries) = &seen[usize::try_from(commit).unwrap() - 1];
        let place = seen[usize::try_from(commit).unwrap() - 1].2;
        let at = usize::try_from(first - place).unwrap();
        assert_eq!(entries[at], text, "{log} {first}");
    }
    store.close().unwrap();
    assert_ok(dir.path());
}

type Acked = std::collections::BTreeMap<(String, u64), (u64, String)>;

fn take(line: &str, acked: &mut Acked) {
    let Some(rest) = line.strip_prefix("acked ") else { return };
    let mut parts = rest.splitn(4, ' ');
    let (Some(log), Some(commit), Some(first), Some(text)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let place = (log.to_owned(), first.parse().unwrap());
    acked.insert(place, (commit.parse().unwrap(), text.to_owned()));
}
