//! A full disk: intake pauses, reads and the journal go on, and once there is room intake goes on by itself.

use crate::common::{
    acked::{Acked, DIR, Teller, reopen, small},
    follow_from, rounds,
    twin::Twin,
};
use custos_event::{Cursor, LogId, Partition, Position, Seq};
use custos_store::{Options, Store, StoreError};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Facts that must still find room while the disk is full: some 40 KB.
const FACTS: usize = 40;

fn open(options: Options) -> Store {
    Store::open(Path::new(DIR), options).unwrap().0
}

fn fill(store: &Store, teller: &Teller) {
    loop {
        match teller.append(store, LogId::TELEMETRY) {
            Ok(()) => {}
            Err(StoreError::Full { .. }) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until events are taken in again.
#[expect(clippy::disallowed_methods, reason = "the test gives up by the real clock")]
fn resumes_within(limit: Duration, store: &Store, teller: &Teller) {
    let start = Instant::now();
    while let Err(error) = teller.append(store, LogId::TELEMETRY) {
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(start.elapsed() < limit, "still {error} after {limit:?} with room on the disk");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(store.paused(), None);
}

#[test]
fn a_full_disk_pauses_intake_and_nothing_else() {
    let disk = Twin::default();
    let mut options = small(&disk);
    options.free_bytes_min = 0;
    // Steps of 250 KB: what is held back lasts for some of the journal's small ones.
    options.segment_bytes = 1_000_000;
    let store = open(options);
    let teller = Teller::new(Acked::default(), 0);
    teller.append(&store, LogId::JOURNAL).unwrap();
    let mut followed = Cursor::default();
    for _ in 0..rounds(3, 100) {
        disk.set_room(Some(disk.used() + 600_000));
        fill(&store, &teller);
        assert!(store.paused().is_some() && store.failure().is_none());
        // Even of what was free not a byte is left.
        disk.set_room(Some(disk.used()));
        for n in 0..FACTS {
            teller.append(&store, LogId::JOURNAL).unwrap_or_else(|e| panic!("fact {n}: {e}"));
        }
        let last = store.next_seq(LogId::TELEMETRY, Partition(0)).0 - 1;
        let at = Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(last) };
        assert_eq!(store.read(at).unwrap().unwrap(), "second");
        let seen = follow_from(&store, &followed, 7);
        assert_eq!(followed.commit().0 + seen.len() as u64, store.last_commit().0);
        followed = Cursor::after(store.last_commit());
        disk.set_room(None);
        resumes_within(Duration::from_secs(5), &store, &teller);
    }
    let (acked, _) = teller.into_acked();
    println!("full disk: {} acknowledged", acked.entries());
    store.close().unwrap();
    drop(reopen(&disk, &acked).unwrap());
}

#[test]
fn intake_pauses_before_the_last_room_is_taken() {
    let disk = Twin::default();
    let mut options = small(&disk);
    options.free_bytes_min = 500_000;
    let store = open(options);
    let teller = Teller::new(Acked::default(), 0);
    disk.set_room(Some(disk.used() + 1_000_000));
    fill(&store, &teller);
    let pause = store.paused().unwrap();
    assert!(pause.free >= 500_000 - 64 * 1024 && pause.wanted > 500_000, "{pause:?}");
    teller.append(&store, LogId::JOURNAL).unwrap();
    store.close().unwrap();
}

#[test]
fn a_store_opens_and_closes_on_a_full_disk() {
    let disk = Twin::default();
    let teller = Teller::new(Acked::default(), 0);
    let store = open(small(&disk));
    teller.append(&store, LogId::TELEMETRY).unwrap();
    store.close().unwrap();
    disk.set_room(Some(disk.used()));
    let store = open(small(&disk));
    let refused = teller.append(&store, LogId::TELEMETRY);
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    assert!(store.paused().is_some());
    teller.append(&store, LogId::JOURNAL).unwrap();
    store.close().unwrap();
    let (acked, _) = teller.into_acked();
    disk.set_room(None);
    drop(reopen(&disk, &acked).unwrap());
}
