//! Many callers at once: groups form, nobody's order is broken, nobody waits for ever.

#[path = "../../benches/events/mod.rs"]
mod events;

use crate::common::{twin::Twin, *};
use custos_event::{Append, Entry, LogId};
use custos_store::{
    Disk, LogReport, Options, Store, StoreError, VerifyOptions,
    medium::{How, Medium as _},
    verify,
};
use std::{collections::BTreeMap, path::Path, time::Duration};

#[test]
fn callers_share_frames_and_each_keeps_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let submit = |n| {
                    let log = if n % 50 == 0 { LogId::JOURNAL } else { LogId::TELEMETRY };
                    store.submit_blocking(append(log, &[&format!("{caller} {n}"), "and"])).unwrap()
                };
                let tickets: Vec<_> = (0..300).map(submit).collect();
                let places: Vec<_> = tickets.into_iter().map(|t| t.wait().unwrap()).collect();
                assert!(places.is_sorted_by_key(|place| (place.commit, place.first)));
            });
        }
    });
    let seen = follow_all(&store);
    assert!(seen.len() < 8 * 300 / 2, "{} commits for 2,400 appends", seen.len());
    let mut last = BTreeMap::new();
    let texts = seen.iter().flat_map(|commit| commit.3.iter().map(|text| (commit.1, text)));
    for (log, text) in texts.filter(|(_, text)| *text != "and") {
        let text = std::str::from_utf8(text).unwrap();
        let (caller, n) = text.split_once(' ').unwrap();
        let n: i32 = n.parse().unwrap();
        assert_eq!(log == LogId::JOURNAL, n % 50 == 0, "{text} is in {log}");
        assert_eq!(last.insert(caller.to_owned(), n).unwrap_or(-1), n - 1, "caller {caller}");
    }
    assert!(last.len() == 8 && last.values().all(|n| *n == 299));
    store.close().unwrap();
    assert_ok(dir.path());
}

/// A new segment says where the log's tree stands: all before it is durable by then.
#[test]
fn no_segment_is_begun_before_what_the_last_one_holds_is_durable() {
    let disk = Twin::with_slow_syncs(Duration::from_millis(1));
    let small = Options { disk: Disk::new(disk.clone()), segment_bytes: 300, ..options() };
    let folder = Path::new("/data");
    let (store, _) = Store::open(folder, small.clone()).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..40 {
                    let text = format!("{caller} {n} {}", "z".repeat(60));
                    store.append_blocking(append(LogId::TELEMETRY, &[&text])).unwrap();
                }
            });
        }
    });
    store.close().unwrap();
    let on_twin = VerifyOptions { disk: Disk::new(disk), ..VerifyOptions::default() };
    let reports = verify(folder, &on_twin).unwrap();
    assert!(reports.iter().all(LogReport::is_ok), "{reports:#?}");
    let (store, facts) = Store::open(folder, small).unwrap();
    assert!(facts.is_empty(), "{facts:?}");
    assert_eq!(follow_all(&store).iter().map(|commit| commit.3.len()).sum::<usize>(), 160);
}

#[test]
fn appends_wait_for_room_instead_of_filling_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut narrow = options();
    narrow.queue_bytes = 1_000;
    let (store, _) = Store::open(dir.path(), narrow).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let entry = Entry { bytes: vec![b'x'; 700].into(), parsed: None };
                    // The second is larger than the whole queue, and still goes through, alone.
                    let big = Entry { bytes: vec![b'y'; 5_000].into(), parsed: None };
                    for entry in [entry, big] {
                        store.append_blocking(Append::new(LogId::TELEMETRY, vec![entry])).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(follow_all(&store).iter().map(|commit| commit.3.len()).sum::<usize>(), 160);
}

#[test]
fn a_closing_store_answers_everyone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let acked = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for n in 0_usize.. {
                        match store.append_blocking(append(LogId::TELEMETRY, &["x"])) {
                            Ok(_) => {}
                            Err(StoreError::Closed) => return n,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    0
                })
            })
            .collect();
        while store.last_commit().0 < 20 {
            std::thread::yield_now();
        }
        store.close().unwrap();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum::<usize>()
    });
    assert_ok(dir.path());
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    assert_eq!(follow_all(&store).iter().map(|commit| commit.3.len()).sum::<usize>(), acked);
}

#[test]
fn dropping_the_last_handle_closes_the_store() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..3_u64 {
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        let clone = store.clone();
        drop(store);
        assert_eq!(clone.append_blocking(append(LogId::JOURNAL, &["x"])).unwrap().first.0, n);
    }
    assert_ok(dir.path());
}

/// What the sealed segments of 8,000 made events take, appended in batches of so many.
fn sealed_bytes(events: &[Entry], batch: usize) -> u64 {
    let disk = Twin::default();
    let mut wanted = options();
    wanted.disk = Disk::new(disk.clone());
    let folder = Path::new("/data");
    let (store, _) = Store::open(folder, wanted.clone()).unwrap();
    for entries in events.chunks(batch) {
        store.append_blocking(Append::new(LogId::TELEMETRY, entries.to_vec())).unwrap();
    }
    store.close().unwrap();
    let (store, _) = Store::open(folder, wanted).unwrap();
    store.wait_sealed();
    store.close().unwrap();
    let files = disk.list(&folder.join("telemetry")).unwrap();
    files.iter().map(|path| disk.open(path, How::Read).unwrap().len().unwrap()).sum()
}

#[test]
fn what_arrives_one_by_one_takes_no_more_room_once_it_is_sealed() {
    let events = events::made(8_000);
    let raw: u64 = events.iter().map(|entry| entry.bytes.len() as u64).sum();
    let (together, alone) = (sealed_bytes(&events, 500), sealed_bytes(&events, 1));
    println!("sealed: {together} bytes in batches, {alone} one by one, of {raw}");
    assert!(alone <= together + together / 50, "{alone} one by one, {together} in batches");
    assert!(alone * 100 <= raw * 17, "{alone} of {raw}");
}
