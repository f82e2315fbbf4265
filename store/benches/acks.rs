//! How long an acknowledgement takes at a steady 30,000 events a second: what callers wait from handing
//! events over until they are durable. Percentiles are printed, nothing is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures by the real clock, and prints"
)]

mod events;

use custos_event::{
    Append, LogId, Timestamp,
    time::{Clock, ManualClock},
};
use custos_store::{Options, Store};
use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

const RATE: u32 = 30_000;
const SECONDS: u32 = 20;
/// As a shipper's request brings them.
const BATCH: usize = 100;

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let (store, _) = Store::open(dir.path(), Options::new(clock)).unwrap();
    let events = events::made(u64::from(RATE));
    let (send, tickets) = mpsc::sync_channel(10_000);
    let waiter = std::thread::spawn(move || {
        let wait = |(ticket, handed): (custos_store::Ticket, Instant)| {
            ticket.wait().unwrap();
            handed.elapsed()
        };
        tickets.into_iter().map(wait).collect::<Vec<_>>()
    });
    let every = Duration::from_secs(1) * u32::try_from(BATCH).unwrap() / RATE;
    let start = Instant::now();
    let batches = events.chunks(BATCH).cycle().take((RATE * SECONDS) as usize / BATCH);
    for (n, batch) in (0_u32..).zip(batches) {
        // From when it was due: a caller held up by the store waits too.
        let due = start + every * n;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
        let append = Append::new(LogId::TELEMETRY, batch.to_vec());
        send.send((store.submit_blocking(append).unwrap(), due)).unwrap();
    }
    drop(send);
    let mut waits = waiter.join().unwrap();
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!(
        "acknowledgements at {RATE} events/s for {SECONDS} s: median {:.1} ms, 99 % {:.1} ms, at most {:.1} ms",
        at(50),
        at(99),
        at(100)
    );
    store.close().unwrap();
}
