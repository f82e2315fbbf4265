//! Each step that the store takes on the disk fails, or is the last before the power goes: nothing
//! acknowledged is lost, the store opens again, and it verifies. A failed sync ends all acknowledging.

use crate::common::{
    Dice,
    acked::{Acked, DIR, Teller, reopen, small},
    rounds,
    twin::{Mood, Plan, STEPS, Step, Twin, What},
};
use custos_event::LogId;
use custos_store::{
    Store, StoreError,
    medium::{How, Medium as _},
};
use std::{collections::BTreeMap, path::Path};

const NTH_MAX: u64 = 20;

fn open(disk: &Twin) -> Result<Store, StoreError> {
    let mut options = small(disk);
    // A roll and a sealing every few appends.
    options.segment_bytes = 6_000;
    Store::open(Path::new(DIR), options).map(|(store, _)| store)
}

/// What a node does in its life, twice: a start, events, facts, keys, checkpoints, sealing, a stop.
fn life(disk: &Twin, teller: &Teller) {
    for start in 0..2 {
        // As a sealing leaves it that the power cut short: a start removes it.
        drop(disk.open(Path::new("/data/telemetry/0000000001.tmp"), How::Anew));
        let Ok(store) = open(disk) else { continue };
        for n in 0..10 {
            let log = if n % 3 == 0 { LogId::JOURNAL } else { LogId::TELEMETRY };
            append(&store, teller, log);
            if n % 4 == 1 {
                drop(store.checkpoint());
                drop(teller.key(&store, &format!("{start}-{n}")));
            }
        }
        drop(store.keyring().seal_field("anna", "user.email", "anna@example.org"));
        let keyring = store.keyring();
        drop(keyring.erase_subject(&keyring.subject("anna"), None));
        store.wait_sealed();
        drop(store.close());
    }
}

/// Nothing is acknowledged once the store has said that it cannot be written.
fn append(store: &Store, teller: &Teller, log: LogId) {
    let failed = store.failure();
    let appended = teller.append(store, log);
    assert!(failed.is_none() || appended.is_err(), "acknowledged after {failed:?}");
}

#[test]
fn nothing_is_lost_whichever_step_fails() {
    let (mut dice, mut struck) = (Dice(41), BTreeMap::new());
    for step in STEPS {
        for what in [What::PowerBefore, What::PowerAfter, What::Eio, What::Enospc] {
            for nth in 1..=NTH_MAX {
                let disk = Twin::default();
                disk.arm(Plan { step: Some(step), nth, what });
                let teller = Teller::new(Acked::default(), 0);
                life(&disk, &teller);
                if !disk.struck() {
                    break;
                }
                *struck.entry(step).or_insert(0) += 1;
                let (acked, _) = teller.into_acked();
                let mood = Mood::any(&mut dice);
                let left = disk.after_power_loss(mood, &mut dice);
                if let Err(loss) = reopen(&left, &acked) {
                    panic!("{what:?} at {step:?} {nth}, {mood:?}: {loss}");
                }
            }
        }
    }
    let all: usize = struck.values().sum();
    println!("failpoints: {all} struck: {struck:?}");
    assert_eq!(struck.len(), STEPS.len(), "each kind of step was struck: {struck:?}");
    assert!(all >= 400, "{struck:?}");
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_nothing_is_lost() {
    let mut dice = Dice(200);
    for nth in (1..=200).step_by(rounds(5, 1)) {
        let disk = Twin::default();
        let store = open(&disk).unwrap();
        let teller = Teller::new(Acked::default(), 0);
        disk.arm(Plan { step: Some(Step::Sync), nth, what: What::Eio });
        while store.failure().is_none() {
            append(&store, &teller, LogId::TELEMETRY);
        }
        let acked = teller.acked();
        for log in [LogId::TELEMETRY, LogId::JOURNAL].repeat(3) {
            let refused = teller.append(&store, log);
            assert!(
                matches!(refused, Err(StoreError::Failed(_) | StoreError::Io { .. })),
                "{refused:?}"
            );
        }
        assert_eq!(teller.acked(), acked, "sync {nth}");
        assert!(store.close().is_err(), "the process must not end as if all were well");
        // The next process finds what the system shows, not what the disk holds; then the power goes.
        let (acked, serial) = teller.into_acked();
        let store = reopen(&disk, &acked).unwrap_or_else(|loss| panic!("sync {nth}: {loss}"));
        let teller = Teller::new(acked, serial);
        teller.append(&store, LogId::TELEMETRY).unwrap();
        disk.pull_the_plug();
        drop(store);
        let (acked, _) = teller.into_acked();
        let left = disk.after_power_loss(Mood::Drops, &mut dice);
        reopen(&left, &acked).unwrap_or_else(|loss| panic!("sync {nth}, then no power: {loss}"));
    }
}
