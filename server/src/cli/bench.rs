//! `custos bench`: loads for measuring, with figures.

use crate::{
    clock::{Stopwatch, SystemClock},
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    ship::Shipper,
};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use custos_event::{Clock as _, Timestamp};
use custos_scenario::{Day, Story, Traffic};
use serde::Serialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Subcommand)]
pub(super) enum Bench {
    /// Write made events to stdout, one a line.
    Generate(Generate),
    /// Write the demo's day to stdout, one event a line.
    Day(WriteDay),
    /// Ship made events over Kafka's protocol at a steady rate.
    Ship(Ship),
}

#[derive(Args)]
pub(super) struct Generate {
    /// How many events.
    #[arg(long, default_value_t = 10_000)]
    events: u64,
    /// The same seed makes the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
pub(super) struct WriteDay {
    /// The same seed makes the same day.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// When its last event happens [default: now].
    #[arg(long, value_name = "TIME")]
    end: Option<Timestamp>,
    /// Each event as a JSON value with its topic, its time, and the attack that it belongs to.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Ship {
    /// The listener's or cluster's address; on this machine only.
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// Events a second.
    #[arg(long, default_value_t = 15_000)]
    rate: u64,
    /// For how long; an hour at most.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(long, default_value = "lz4")]
    codec: String,
    /// The same seed makes the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Bench {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Generate(generate) => generate.run(),
            Self::Day(day) => day.run(),
            Self::Ship(ship) => ship.run(),
        }
    }
}

impl Generate {
    fn run(self) -> CommandResult {
        let mut traffic = Traffic::new(self.seed);
        let mut output = Output::new();
        let start = SystemClock.now().plus_secs(-3_600);
        for nth in 0..self.events {
            let secs = nth.saturating_mul(3_600) / self.events.max(1);
            let (_, line) = traffic.next(start.plus_secs(i64::try_from(secs).unwrap_or(0)));
            output.raw(&line)?;
            output.raw("\n")?;
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

#[derive(Serialize)]
struct Told<'a> {
    topic: &'a str,
    time: Timestamp,
    story: Option<&'a str>,
    line: &'a str,
}

impl WriteDay {
    fn run(self) -> CommandResult {
        let day = Day::new(self.seed, self.end.unwrap_or_else(|| SystemClock.now()));
        let mut output = Output::new();
        for event in day.iter() {
            if self.json {
                let (topic, story) = (event.topic.name(), event.story.map(Story::name));
                output.json(&Told { topic, time: event.time, story, line: &event.line })?;
            } else {
                output.raw(&event.line)?;
                output.raw("\n")?;
            }
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

#[derive(Serialize)]
struct Shipped {
    sent: u64,
    delivered: u64,
    failed: u64,
    bytes: u64,
    seconds: f64,
    events_per_second: f64,
}

impl Ship {
    fn run(self) -> CommandResult {
        self.check_loopback()?;
        let shipper = Shipper::new(&self.brokers, &self.codec, 20, CancellationToken::new())?;
        let watch = Stopwatch::start();
        let (sent, bytes) = self.send(&shipper, &watch)?;
        shipper.flush()?;
        let seconds = watch.secs();
        let (delivered, failed) = (shipper.delivered(), shipper.failed());
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let events_per_second = (delivered as f64 / seconds).round();
        let mut output = Output::new();
        output.json(&Shipped { sent, delivered, failed, bytes, seconds, events_per_second })?;
        output.flush()?;
        Ok(Outcome::findings_if(failed > 0 || delivered != sent))
    }

    /// A load generator that could be aimed at somebody else's machine is a weapon.
    fn check_loopback(&self) -> Result<(), Failure> {
        let local = |broker: &str| {
            let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
            host == "localhost" || host.starts_with("127.") || host == "[::1]"
        };
        if self.brokers.split(',').all(local) {
            return Ok(());
        }
        Err(Failure::usage(anyhow!("--brokers {}: loads go to this machine only", self.brokers)))
    }

    /// Sends at the asked rate, each millisecond what is due by then; where the server takes less, only that much within
    /// the time, and a second of grace.
    fn send(&self, shipper: &Shipper, watch: &Stopwatch) -> Result<(u64, u64), Failure> {
        let mut traffic = Traffic::new(self.seed);
        let (mut sent, mut bytes) = (0, 0);
        let total = self.rate.saturating_mul(self.seconds);
        let limit = Duration::from_secs(self.seconds + 1).as_secs_f64();
        let over = || watch.secs() >= limit;
        while sent < total && !over() {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate of at most millions over an hour"
            )]
            let due = ((watch.secs() * self.rate as f64) as u64).min(total);
            while sent < due && !over() {
                let (topic, line) = traffic.next(SystemClock.now());
                bytes += line.len() as u64;
                shipper.send(topic.name(), &line)?;
                sent += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok((sent, bytes))
    }
}
