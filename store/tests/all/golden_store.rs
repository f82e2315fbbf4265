//! A store as format version 1 left it, kept in `store/golden/store-v1`: whatever this Custos becomes, it opens it, reads
//! every record, proves them, and goes on. There is no earlier format: none was ever released. When the format's version
//! rises, the next folder is added beside this one, which stays as it is.
//!
//! `CUSTOS_BLESS=1` writes the folder where there is none; one that is there is never written anew.

use crate::common::*;
use custos_event::{
    Actor, Append, Entry, Envelope, Fact, LogId, Partition, Position, Seq, Timestamp,
};
use custos_evidence::proof::includes;
use custos_store::{DropRequest, LogReport, Options, Store};
use std::path::{Path, PathBuf};

const P0: Partition = Partition(0);
const RECORDS: u64 = 120;
/// The first segment, dropped by retention.
const DROPPED: u64 = 48;

fn golden() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "golden", "store-v1"].iter().collect()
}

fn small() -> Options {
    Options { segment_bytes: 1_000, ..options() }
}

fn text(n: u64) -> String {
    format!("golden record {n} {}", "g".repeat(usize::try_from(n % 9).unwrap()))
}

fn fact(fact: Fact) -> Append {
    let at = Timestamp::from_secs(1_800_000_000);
    let envelope = Envelope { at, actor: Actor::System { part: "test".into() }, cause: None, fact };
    Append::new(LogId::JOURNAL, vec![Entry { bytes: envelope.encode().unwrap(), parsed: None }])
}

/// A token key as text: with it the keyring is held to what it was.
fn token(store: &Store) -> String {
    let key = store.keyring().token_key("golden").unwrap();
    custos_evidence::hex(key.reveal())
}

/// Two processes, sealed and open segments, checkpoints, a drop, keys.
fn write(dir: &Path) {
    let (store, _) = Store::open(dir, small()).unwrap();
    store.append_blocking(append(LogId::JOURNAL, &[&token(&store)])).unwrap();
    for n in (0..RECORDS - 8).step_by(2) {
        store.append_blocking(append(LogId::TELEMETRY, &[&text(n), &text(n + 1)])).unwrap();
        if n % 40 == 0 {
            store.checkpoint().unwrap();
        }
    }
    store.wait_sealed();
    let first = store.sealed_segments(LogId::TELEMETRY, P0).unwrap()[0];
    assert_eq!(first.end.0, DROPPED, "bless with the constant that fits");
    let numbers = first.number..=first.number;
    let (log, reason) = (LogId::TELEMETRY, "older than keep = 90d".to_owned());
    let request = DropRequest { log, partition: P0, numbers, reason };
    let told = store.drop_segments(&request, &mut |range| {
        store.append_blocking(fact(Fact::Upkeep { event: range.into() })).map(drop)
    });
    told.unwrap();
    store.close().unwrap();
    let unsealed = Options { seal: false, ..small() };
    let (store, _) = Store::open(dir, unsealed).unwrap();
    for n in RECORDS - 8..RECORDS {
        store.append_blocking(append(LogId::TELEMETRY, &[&text(n)])).unwrap();
    }
    store.close().unwrap();
    for file in ["LOCK", "RESERVE"] {
        drop(std::fs::remove_file(dir.join(file)));
    }
}

#[test]
fn a_store_of_format_1_opens_reads_proves_and_goes_on() {
    if std::env::var_os("CUSTOS_BLESS").is_some() && !golden().exists() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("d"));
        copy_tree(&dir.path().join("d"), &golden());
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d");
    copy_tree(&golden(), &data);
    let found = reports(&data);
    assert!(found.iter().all(LogReport::is_ok), "{found:#?}");
    let telemetry = found.iter().find(|report| report.log == LogId::TELEMETRY).unwrap();
    assert_eq!((telemetry.first, telemetry.records), (Seq(DROPPED), RECORDS - DROPPED));
    let (store, facts) = Store::open(&data, small()).unwrap();
    assert!(facts.is_empty(), "{facts:?}");
    let at = |log, seq| Position { log, partition: P0, seq: Seq(seq) };
    let kept = store.read(at(LogId::JOURNAL, 0)).unwrap().unwrap();
    assert_eq!(kept, token(&store), "the keys are those of before");
    let mut prover = store.prover(LogId::TELEMETRY, P0).unwrap().unwrap();
    let (size, root) = prover.head();
    for n in 0..RECORDS {
        let read = store.read(at(LogId::TELEMETRY, n)).unwrap();
        if n < DROPPED {
            let why = store.dropped_at(at(LogId::TELEMETRY, n)).unwrap();
            assert_eq!((read, why.reason.as_str()), (None, "older than keep = 90d"));
            continue;
        }
        assert_eq!(read.unwrap(), text(n));
        let proof = prover.inclusion(n, size).unwrap();
        assert!(includes(&root, size, n, &proof.leaf, &proof.path), "record {n}");
    }
    drop(prover);
    let next = store.append_blocking(append(LogId::TELEMETRY, &["goes on"])).unwrap();
    assert_eq!(next.first, Seq(RECORDS));
    store.wait_sealed();
    store.close().unwrap();
    assert_ok(&data);
}
