//! The day goes out at an even pace; afterwards ordinary traffic, until the demo ends.

use crate::{
    clock::{Stopwatch, SystemClock},
    exit::Failure,
    ship::Shipper,
};
use custos_event::Clock as _;
use custos_scenario::{Day, Story, Traffic};
use std::{collections::BTreeSet, time::Duration};
use tokio_util::sync::CancellationToken;

/// Ordinary traffic after the day, in events a second: enough to see that it lives.
const QUIET_RATE: f64 = 3.0;

/// How often is looked for what is due: a few events each time at speed 1.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is to be shipped, and how fast.
pub(super) struct Shipping {
    day: Option<Day>,
    traffic: Traffic,
    secs: f64,
}

impl Shipping {
    /// `day` within `secs` seconds, then the traffic of `seed`.
    pub(super) fn new(day: Option<Day>, seed: u64, secs: f64) -> Self {
        Self { day, traffic: Traffic::new(seed), secs }
    }

    /// How many events the day has, and how many seconds it takes.
    pub(super) fn day(&self) -> Option<(usize, f64)> {
        self.day.as_ref().map(|day| (day.len(), self.secs))
    }

    pub(super) fn run(
        mut self,
        shipper: &Shipper,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        if let Some(day) = self.day.take() {
            send_day(day, self.secs, shipper, stop)?;
        }
        let watch = Stopwatch::start();
        let mut sent = 0_u32;
        while !stop.is_cancelled() {
            while f64::from(sent) < watch.secs() * QUIET_RATE {
                let (topic, line) = self.traffic.next(SystemClock.now());
                shipper.send(topic.name(), &line)?;
                sent = sent.saturating_add(1);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// Even by count, not by time: nights pass quickly, and the busy hours are not a flood.
fn send_day(
    day: Day,
    secs: f64,
    shipper: &Shipper,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    let total = u32::try_from(day.len()).unwrap_or(u32::MAX);
    let mut told = BTreeSet::new();
    for (nth, event) in (0_u32..).zip(day) {
        while f64::from(nth) * secs > watch.secs() * f64::from(total) {
            if stop.is_cancelled() {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        if let Some(story) = event.story.filter(|story| told.insert(*story)) {
            announce(story, told.len());
        }
        shipper.send(event.topic.name(), &event.line)?;
    }
    while shipper.delivered() + shipper.failed() < u64::from(total) {
        if stop.is_cancelled() {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let (delivered, failed) = (shipper.delivered(), shipper.failed());
    eprintln!(
        "the day is in: {total} events sent, {delivered} acknowledged, {failed} failed; ordinary \
         traffic goes on until Ctrl-C"
    );
    Ok(())
}

fn announce(story: Story, nth: usize) {
    eprintln!("attack {nth} of {} ({}): {}", Story::ALL.len(), story.name(), story.telling());
}
