//! The power goes at any step of the disk; what was not synced is dropped or garbled. Nothing acknowledged
//! is lost, and a store whose syncs do nothing is found out.

use crate::common::{
    Dice,
    acked::{Acked, Teller, reopen},
    rounds,
    twin::{Mood, Plan, Step, Twin, What},
};
use custos_event::LogId;
use custos_store::Store;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many cycles go on with the disk that the one before left.
const CYCLES_A_DISK: usize = 20;

#[derive(Debug, Default)]
struct Counts {
    cycles: usize,
    acked: usize,
    /// Cycles in which an append was under way when the power went.
    mid_write: usize,
    garbled: usize,
    torn: usize,
    lost: usize,
    /// Key and nonce: how many pairs were written under, and how often one with two ciphertexts.
    pairs: usize,
    doubled: u64,
    first_loss: Option<String>,
}

/// Appends from two threads, with checkpoints and new keys, until the power is gone.
fn work(store: &Store, teller: &Teller, cycle: usize) {
    let appends = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for log in [LogId::TELEMETRY, LogId::JOURNAL] {
            let appends = &appends;
            scope.spawn(move || {
                while teller.append(store, log).is_ok() {
                    let n = appends.fetch_add(1, Ordering::Relaxed);
                    if n % 16 == 5 && teller.key(store, &format!("{cycle}-{n}")).is_err() {
                        break;
                    }
                    if n % 8 == 3 && store.checkpoint().is_err() {
                        break;
                    }
                }
            });
        }
    });
}

fn plan(dice: &mut Dice) -> Plan {
    let what = [What::PowerBefore, What::PowerAfter][dice.roll(2)];
    // Syncs and renames are where a promise is made; the rest is where it is prepared.
    let step = [None, None, Some(Step::Sync), Some(Step::Write), Some(Step::Rename)][dice.roll(5)];
    let nth = 1 + dice.roll(if step == Some(Step::Rename) { 6 } else { 60 }) as u64;
    Plan { step, nth, what }
}

fn run(cycles: usize, new_disk: fn() -> Twin, cycles_a_disk: usize, seed: u64) -> Counts {
    let (mut dice, mut counts) = (Dice(seed), Counts::default());
    let (mut disk, mut acked, mut serial) = (new_disk(), Acked::default(), 0);
    let first = disk.clone();
    for cycle in 0..cycles {
        if cycle % cycles_a_disk == 0 {
            (disk, acked, serial) = (new_disk(), Acked::default(), 0);
            disk.share_nonces(&first);
        }
        let before = acked.entries();
        let store = match reopen(&disk, &acked) {
            Ok(store) => store,
            Err(loss) => {
                counts.lost += 1;
                counts.first_loss.get_or_insert(format!("cycle {cycle}: {loss}"));
                (disk, acked, serial) = (new_disk(), Acked::default(), 0);
                reopen(&disk, &acked).unwrap()
            }
        };
        let teller = Teller::new(acked, serial);
        disk.arm(plan(&mut dice));
        work(&store, &teller, cycle);
        drop(store);
        counts.mid_write += usize::from(teller.unacked() > 0);
        (acked, serial) = teller.into_acked();
        let mood = Mood::any(&mut dice);
        counts.garbled += usize::from(mood == Mood::Garbles);
        disk = disk.after_power_loss(mood, &mut dice);
        counts.cycles += 1;
        counts.acked += acked.entries().saturating_sub(before);
        if (cycle + 1) % cycles_a_disk == 0 {
            match reopen(&disk, &acked) {
                Ok(_) => {
                    counts.torn +=
                        disk.files().keys().filter(|p| p.starts_with("/data/torn")).count();
                }
                Err(loss) => {
                    counts.lost += 1;
                    counts.first_loss.get_or_insert(format!("after cycle {cycle}: {loss}"));
                }
            }
        }
    }
    (counts.pairs, counts.doubled) = first.nonces();
    counts
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let counts = run(rounds(80, 1_000), Twin::default, CYCLES_A_DISK, 2026);
    println!("power loss: {counts:?}");
    assert_eq!(counts.lost, 0, "{counts:?}");
    assert!(counts.mid_write * 10 >= counts.cycles * 9, "{counts:?}");
    assert!(counts.garbled * 3 >= counts.cycles, "{counts:?}");
    assert!(counts.acked >= counts.cycles, "{counts:?}");
    assert_eq!(counts.doubled, 0, "{counts:?}");
    assert!(counts.pairs >= counts.acked, "{counts:?}");
}

#[test]
fn a_store_that_does_not_sync_is_found_out() {
    let counts = run(rounds(40, 200), Twin::without_sync, 1, 7);
    println!("without sync: {counts:?}");
    assert!(counts.lost * 2 >= counts.cycles, "{counts:?}");
}
