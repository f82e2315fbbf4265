//! Facts: everything that Custos and its people decided or did, in the past tense. The journal's schema.

use crate::{
    account::{AccountEvent, SetupEvent},
    erasure::ErasureEvent,
    id::{AlertId, CommitNo, LogId, Position, RuleId, RulesetHash, Seq, ValueKey},
    respond::{IncidentEvent, IncidentId, RunEvent, RunId, TaskEvent, TaskId, Verdict},
    rulebook::{RuleStage, RuleText},
    source::SourceEvent,
    time::Timestamp,
    upkeep::UpkeepEvent,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Who caused a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Custos itself, and which part of it: `store`, `detect`, `ingest`.
    System { part: String },
    /// Somebody at the command line of the machine, by the operating system's user name.
    Operator { name: String },
    /// A person who signed in, by the account's name.
    User { name: String },
    /// A program that showed an API token, by the token's name.
    Token { name: String },
}

impl Actor {
    /// Who it was, for people: a name, or the part of Custos.
    pub fn name(&self) -> &str {
        match self {
            Self::User { name } | Self::Token { name } | Self::Operator { name } => name,
            Self::System { part } => part,
        }
    }
}

/// A fact as the journal stores it: JSON behind one version byte, so that any tool can read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub at: Timestamp,
    pub actor: Actor,
    /// The record or fact that this one follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Position>,
    pub fact: Fact,
}

/// One thing that happened. Variants are added, never changed: an old one is read for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "handled one at a time, never kept in numbers")]
pub enum Fact {
    /// A process opened the store for writing.
    Started {
        /// Custos' version.
        version: String,
    },
    /// Recovery cut an unfinished write off a log's end. What was cut is kept in the named file.
    TailCut {
        log: LogId,
        /// The first place that is free again.
        next: Seq,
        bytes: u64,
        saved_as: String,
    },
    /// Damage where bytes were known to be durable: they are set aside, the rest is read on.
    RangeQuarantined { log: LogId, first: Seq, last: Seq, reason: String },
    /// Room on the disk ran short: from here on nothing was taken in, until there is room again.
    IntakePaused {
        /// Bytes that were free.
        free: u64,
        /// Bytes that must be free for intake to go on.
        wanted: u64,
    },
    /// There was room again, and intake went on.
    IntakeResumed { paused_secs: u64 },
    /// These rules are the ones that run from here on.
    RulesetActivated { ruleset: RulesetHash, rules: u32, rejected: u32 },
    /// A rule matched.
    AlertRaised(Alert),
    /// The ruleset saw every record of commits `from..=to`; all its alerts of them are in the log.
    Evaluated { ruleset: RulesetHash, from: CommitNo, to: CommitNo, events: u64, alerts: u64 },
    /// A correlation could not count everything in commits `from..=to`: `dropped` events were given up
    /// because its state was full, `late` ones came so late that others of their window may have been
    /// let go before.
    CorrelationIncomplete {
        ruleset: RulesetHash,
        rule: RuleId,
        from: CommitNo,
        to: CommitNo,
        dropped: u64,
        late: u64,
    },
    /// The rule files were read at a start: what is new or other than before, and what is there no more.
    /// It holds for everything that had not been evaluated yet.
    RulesRead {
        /// The last commit that was evaluated, or that moved a rule if that came later: from the next one on
        /// these are the files.
        after: CommitNo,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        found: Vec<RuleText>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gone: Vec<RuleId>,
    },
    /// A person moved a version of a rule to a stage of its life. It holds for the commits after this fact's.
    /// From then on the rule's file decides nothing.
    RuleMoved {
        rule: RuleId,
        to: RuleStage,
        /// As [`RuleText::version`].
        version: String,
        /// The version's whole text.
        text: String,
        reason: String,
    },
    /// A rule in shadow matched events of commits `from..=to`.
    ShadowMatched {
        rule: RuleId,
        /// The rule's own, as an alert of it would have it.
        version: String,
        from: CommitNo,
        to: CommitNo,
        matches: u64,
        /// Event time of the newest.
        last: Timestamp,
        /// The events of the first few.
        samples: Vec<Position>,
    },
    /// Matches of commits `from..=to` raised no alert of their own: they are like one that stands already, and the
    /// rule says to hold such back.
    AlertSuppressed {
        /// The alert that stands.
        alert: AlertId,
        rule: RuleId,
        from: CommitNo,
        to: CommitNo,
        matches: u64,
        /// Event time of the newest.
        last: Timestamp,
        /// The events of the first few.
        samples: Vec<Position>,
    },
    /// What rules that mind what is new have learned in commits `from..=to`: each value as it now stands.
    ValuesSeen {
        rule: RuleId,
        from: CommitNo,
        to: CommitNo,
        seen: Vec<Sighting>,
        /// Values of any rule that were forgotten to make room for these.
        forgotten: u64,
    },
    /// What rules that know what is usual have counted up to the beginning of a turn of ten minutes, as it then stood;
    /// in the commit that completes `from..=to`, the first of a later turn among them.
    BaselineCounted {
        rule: RuleId,
        from: CommitNo,
        to: CommitNo,
        counted: Vec<Counted>,
        /// Of how many it was forgotten what is usual, to make room.
        forgotten: u64,
        /// Events that came when their stretch was no longer counted.
        late: u64,
    },
    /// Other bytes were found at an offset already stored: the topic was made anew, or lost data.
    SourceEpochOpened { cluster: String, topic: String, partition: i32, epoch: u32, offset: i64 },
    /// Records of a numbered source are gone before Custos could read them.
    SourceGapSeen { cluster: String, topic: String, partition: i32, expected: i64, found: i64 },
    /// A source that was heard before had been silent for so long.
    SourceSilent { source: String, last_seen: Timestamp, after_secs: u64 },
    /// It was heard again.
    SourceHeard { source: String },
    /// From here on facts are published to a topic of a Kafka cluster, those at `from` first.
    PublishingBegun { what: Publication, topic: String, from: Seq },
    /// Somebody searched events.
    Searched { query: String, results: u64 },
    /// Somebody opened one event.
    EventRead { position: Position },
    /// Something happened to an incident.
    Incident { incident: IncidentId, event: IncidentEvent },
    /// Something happened to a playbook's run.
    Run { run: RunId, event: RunEvent },
    /// Something happened to a recovery task.
    Task { task: TaskId, event: TaskEvent },
    /// A person judged an alert. The newest word counts.
    AlertJudged { alert: AlertId, verdict: Verdict, reason: String },
    /// A person has seen an alert and takes care of it.
    AlertAcknowledged { alert: AlertId },
    /// Something happened to an account.
    Account {
        /// The account's name.
        account: String,
        event: AccountEvent,
    },
    /// Somebody tried to sign in to an account that does not exist. Which name is not kept: it may be a
    /// password typed into the wrong field.
    UnknownSignIn { address: String },
    /// Something happened to the token that makes the first account.
    Setup { event: SetupEvent },
    /// An incident's records were taken out as a bundle of evidence, which holds this fact too.
    EvidenceExported {
        incident: IncidentId,
        /// How many, this fact not counted.
        records: u64,
        /// The root of the tree over their leaves in the bundle's order, in hex.
        contents: String,
        /// What belongs to the incident and could not be read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<Position>,
    },
    /// Another Custos sent a signed head of one of its logs. It continues every one that was seen before.
    CheckpointWitnessed {
        /// The log's name with its node's: `custos-1f2e3d4c/telemetry`.
        origin: String,
        size: u64,
        /// In hex.
        root: String,
        /// The signed note itself.
        note: String,
    },
    /// Another Custos sent a signed head that contradicts what was seen before: its log was cut or changed.
    CheckpointRefused {
        origin: String,
        size: u64,
        /// The size of the head that it contradicts.
        witnessed: u64,
        reason: String,
        /// The signed note: proof against whoever signed it.
        note: String,
    },
    /// Somebody vouches that a head that was refused is right, as after a restore to an earlier point: the log goes on
    /// from it. What it contradicted stays in the journal.
    CheckpointAccepted {
        origin: String,
        size: u64,
        /// In hex.
        root: String,
        /// The size of the head that it replaces.
        replaced: u64,
        reason: String,
        note: String,
    },
    /// Every byte of every log was read and held against the checkpoints.
    LogsVerified {
        records: u64,
        /// What was found, a line each, the first hundred; none if all is whole.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        faults: Vec<String>,
    },
    /// Something happened to the keeping of the log: a backup, a drill, retention, a hold, a repair.
    Upkeep { event: UpkeepEvent },
    /// The keyring is under another master key, by the ids of both.
    MasterKeyRotated { from: String, to: String },
    /// Something happened to the erasure of a person.
    Erasure {
        /// The person's name as a keyed hash, in hex.
        subject: String,
        event: ErasureEvent,
    },
    /// Something happened to a source that somebody made while Custos ran.
    Source {
        /// Its name, without the protocol that its events come by.
        source: String,
        event: SourceEvent,
    },
    /// Somebody looked at the sealed values of one event in clear, for this reason.
    FieldRevealed { position: Position, field: String, reason: String },
}

/// What a topic is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publication {
    /// Each alert that is raised.
    Alerts,
    /// Every fact of the journal.
    Facts,
}

/// What a rule remembers of a value, or of somebody whose values it minds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub key: ValueKey,
    /// When it was seen first.
    pub since: Timestamp,
    /// When it was seen last, as far as that was worth a word.
    pub last: Timestamp,
    /// How often it was seen, as far as that counts.
    pub count: u32,
}

/// How much of a rule's matches came of somebody on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    pub key: ValueKey,
    /// Days since 1970, in UTC.
    pub day: i32,
    /// The most of one stretch of this day.
    pub peak: f64,
    /// The totals of its newest stretches, by their start in seconds since 1970.
    pub totals: Vec<(i64, f64)>,
}

/// A rule's match, with what shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    pub rule: RuleId,
    /// SHA-256 of the rule's normalised text, in hex.
    pub rule_version: String,
    pub title: String,
    /// In Chinese; empty where nobody wrote one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title_zh: String,
    /// Sigma's levels: informational, low, medium, high, critical.
    pub level: String,
    /// What the rule says that a match weighs, where it says so; else the level does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<u32>,
    /// Sigma's tags, ATT&CK among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Event time of the last event.
    pub time: Timestamp,
    /// The events that made it up, in log order.
    pub events: Vec<Position>,
    /// What matched, for a person to read.
    pub matched: Vec<Matched>,
    /// Who and what it is about; for a correlation its group first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
}

/// Somebody or something that alerts are about, and that alerts are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entity {
    pub kind: EntityKind,
    /// As the event has it, cut at 256 characters.
    pub value: String,
}

/// What an [`Entity`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// An account, by its name.
    User,
    /// An IP address.
    Address,
    /// A machine, by its name.
    Host,
    /// A door, by its name.
    Door,
    /// A badge or another credential, by its hash.
    Credential,
    /// A payment card, by its token.
    Card,
    /// A payer, by the payment service's id.
    Customer,
}

/// One value that a rule asked for and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The rule's own name for the part: `selection_img`.
    pub selection: String,
    /// The field as the rule names it; empty for a keyword.
    pub field: String,
    /// The pattern of the rule, with its modifiers: `endswith '\cmd.exe'`.
    pub pattern: String,
    /// The event's value, cut at 256 characters.
    pub value: String,
}

/// The version byte before the JSON.
pub const VERSION: u8 = 1;

/// Bytes that are no fact.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    #[error("fact is empty")]
    Empty,
    #[error("fact is of version {0}, newer than this Custos reads; use the version that wrote it")]
    Newer(u8),
    #[error("fact does not read")]
    Json(#[from] serde_json::Error),
}

impl Envelope {
    pub fn encode(&self) -> Result<Bytes, FactError> {
        let mut out = vec![VERSION];
        serde_json::to_writer(&mut out, self)?;
        Ok(out.into())
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, FactError> {
        match bytes.split_first() {
            None => Err(FactError::Empty),
            Some((&VERSION, json)) => Ok(serde_json::from_slice(json)?),
            Some((&newer, _)) => Err(FactError::Newer(newer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Facts as version 1 wrote them. Lines are added with each new variant, never edited.
    const GOLDEN: &str = include_str!("../golden/facts-v1.jsonl");

    #[test]
    fn every_fact_ever_written_reads_and_is_written_the_same_again() {
        let mut kinds = std::collections::BTreeSet::new();
        for line in GOLDEN.lines() {
            let mut bytes = vec![VERSION];
            bytes.extend_from_slice(line.as_bytes());
            let envelope = Envelope::decode(&bytes).unwrap();
            assert_eq!(envelope.encode().unwrap(), bytes, "{line}");
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            kinds.insert(json["fact"]["type"].as_str().unwrap().to_owned());
        }
        let known = [
            "account",
            "alert_acknowledged",
            "alert_judged",
            "alert_raised",
            "alert_suppressed",
            "checkpoint_accepted",
            "checkpoint_refused",
            "checkpoint_witnessed",
            "correlation_incomplete",
            "erasure",
            "evaluated",
            "event_read",
            "evidence_exported",
            "field_revealed",
            "incident",
            "intake_paused",
            "intake_resumed",
            "logs_verified",
            "master_key_rotated",
            "publishing_begun",
            "range_quarantined",
            "rule_moved",
            "rules_read",
            "ruleset_activated",
            "run",
            "searched",
            "setup",
            "shadow_matched",
            "source",
            "source_epoch_opened",
            "source_gap_seen",
            "source_heard",
            "source_silent",
            "started",
            "tail_cut",
            "task",
            "unknown_sign_in",
            "upkeep",
        ];
        assert!(kinds.iter().map(String::as_str).eq(known), "golden file has {kinds:?}");
    }

    #[test]
    fn bytes_of_a_newer_version_are_told_from_broken_ones() {
        assert!(matches!(Envelope::decode(b""), Err(FactError::Empty)));
        assert!(matches!(Envelope::decode(b"\x02{}"), Err(FactError::Newer(2))));
        assert!(matches!(Envelope::decode(b"\x01{}"), Err(FactError::Json(_))));
    }
}
