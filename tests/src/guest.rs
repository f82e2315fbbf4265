//! Other members of the group that Custos reads in: they take partitions away, and leave, or die.

use crate::{
    custos::{Moment, Node},
    kafka::Kafka,
    process::Running,
};
use anyhow::{Context, Result, ensure};
use std::{
    process::{Command, Stdio},
    time::Duration,
};

/// A rebalance takes a heartbeat of 100 ms, or a session of one second where a member died; minutes are for
/// a machine that does other things too.
const LIMIT: Duration = Duration::from_mins(2);

/// What Custos' own configuration needs for rebalances that take no longer than that.
pub const BRISK: &str = "\"heartbeat.interval.ms\" = \"100\"";

/// What the broker needs for the same.
pub const BRISK_BROKER: &str = "group.min.session.timeout.ms=500\n";

/// Debian's kcat as a member of a group. Killed when dropped.
#[derive(Debug)]
pub struct Guest {
    running: Running,
    /// How many it was given.
    pub partitions: usize,
}

impl Guest {
    /// Joins, and waits until it was given partitions. What it reads it throws away, and tells Kafka that it
    /// has read it.
    pub fn join(kafka: &Kafka, group: &str, topics: &[&str]) -> Result<Self> {
        let mut kcat = Command::new("kcat");
        kcat.args(["-b", &kafka.brokers(), "-X", "partition.assignment.strategy=range"]);
        kcat.args(["-X", "session.timeout.ms=1000", "-X", "heartbeat.interval.ms=100"]);
        kcat.args(["-X", "enable.auto.commit=true", "-X", "auto.commit.interval.ms=100"]);
        kcat.args(["-G", group]).args(topics).stdout(Stdio::null());
        let running = Running::start("kcat", &mut kcat)?;
        // "% Group custos rebalanced (memberid …): assigned: doors [0], doors [1]"
        let line = running.wait_for_line(LIMIT, |line| line.contains(": assigned: "))?;
        let partitions = line.matches(" [").count();
        ensure!(partitions > 0, "kcat was given nothing: {line}");
        Ok(Self { running, partitions })
    }

    /// Says goodbye to the group.
    pub fn leave(mut self) -> Result<()> {
        self.running.terminate(LIMIT).map(drop)
    }

    /// `kill -9`: the group notices when its session is over.
    pub fn die(mut self) -> Result<()> {
        self.running.kill()
    }
}

/// Waits until `node` says that it was given `partitions`; counts how often it gave back what it had before.
pub fn wait_until_held(node: &Node, partitions: usize) -> Result<u64> {
    let mut given_back = 0;
    loop {
        let line = node.wait_for_line(LIMIT, |line| {
            line.contains("Kafka partitions assigned")
                || line.contains("Kafka partitions given back")
        })?;
        given_back += u64::from(line.contains("given back"));
        let held = line.split_once("partitions=").and_then(|(_, held)| held.parse().ok());
        if held == Some(partitions) {
            return Ok(given_back);
        }
    }
}

/// How a guest's stay ends.
#[derive(Clone, Copy, Debug)]
enum Stay {
    Leaves,
    Dies,
    /// Leaves after Custos was killed, and started again, in the middle of the stay.
    OutlivesCustos,
}

const STAYS: [Stay; 3] = [Stay::Leaves, Stay::Dies, Stay::OutlivesCustos];

/// Guests one after another, spread evenly over the kills of a node.
#[derive(Debug)]
pub struct Visits<'k> {
    kafka: &'k Kafka,
    topics: Vec<&'k str>,
    /// All there are.
    partitions: usize,
    wanted: u64,
    kills: u64,
    inside: Option<Guest>,
    /// Custos has said since its last start that it has all.
    whole: bool,
    /// How often a guest had partitions, and Custos all of them afterwards.
    pub over: u64,
    /// How often Custos said that it gave partitions back.
    pub given_back: u64,
}

impl<'k> Visits<'k> {
    pub fn new(
        kafka: &'k Kafka,
        topics: Vec<&'k str>,
        partitions: usize,
        wanted: u64,
        kills: u64,
    ) -> Self {
        let (inside, whole, over, given_back) = (None, false, 0, 0);
        Self { kafka, topics, partitions, wanted, kills, inside, whole, over, given_back }
    }

    /// For [`Node::kill_on_the_way_and`].
    pub fn at(&mut self, node: &Node, moment: Moment) -> Result<()> {
        let seen = match moment {
            Moment::BeforeKill(nth) if self.is_due(nth) => self.visit(node),
            Moment::BeforeKill(_) => Ok(()),
            Moment::AfterStart => self.leave_late(node),
        };
        seen.with_context(|| {
            format!("stay {} of a guest; custos said last:\n{}", self.over, node.shown())
        })
    }

    fn is_due(&self, kill: u64) -> bool {
        (kill + 1) * self.wanted / self.kills > kill * self.wanted / self.kills
    }

    fn visit(&mut self, node: &Node) -> Result<()> {
        if !self.whole {
            wait_until_held(node, self.partitions)?;
        }
        let guest = Guest::join(self.kafka, "custos", &self.topics)?;
        ensure!(guest.partitions < self.partitions, "Custos was no member");
        let left = self.partitions - guest.partitions;
        match STAYS[usize::try_from(self.over)? % STAYS.len()] {
            Stay::OutlivesCustos => {
                self.inside = Some(guest);
                return Ok(());
            }
            Stay::Leaves => {
                self.given_back += wait_until_held(node, left)?;
                guest.leave()?;
            }
            Stay::Dies => {
                self.given_back += wait_until_held(node, left)?;
                guest.die()?;
            }
        }
        self.all_are_back(node)
    }

    fn leave_late(&mut self, node: &Node) -> Result<()> {
        self.whole = false;
        let Some(guest) = self.inside.take() else { return Ok(()) };
        // By its fixed name it is still a member, and nothing is shared out anew.
        self.given_back += wait_until_held(node, self.partitions - guest.partitions)?;
        guest.leave()?;
        self.all_are_back(node)
    }

    fn all_are_back(&mut self, node: &Node) -> Result<()> {
        self.given_back += wait_until_held(node, self.partitions)?;
        self.whole = true;
        self.over += 1;
        Ok(())
    }
}
