//! The configuration file as it is written; an unknown key is an error with its line.

use super::{crm::RawCrm, webhooks::RawWebhook};
use crate::{
    enrich::RawEnrich,
    respond::config::RawRespond,
    silence::RawSilence,
    upkeep::{
        config::RawBackup,
        policy::{RawRetention, RawScrub},
    },
    witness::config::{RawWitness, RawWitnessed},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) data: Option<PathBuf>,
    #[serde(default)]
    pub(super) disk: Disk,
    pub(super) http: Option<Http>,
    pub(super) listener: Option<Listener>,
    pub(super) kafka: Option<Kafka>,
    #[serde(default)]
    pub(super) intake: Vec<Intake>,
    #[serde(default)]
    pub(super) crm: Vec<RawCrm>,
    #[serde(default)]
    pub(super) sources: RawSilence,
    #[serde(default)]
    pub(super) rules: Rules,
    #[serde(default)]
    pub(super) mappings: Mappings,
    #[serde(default)]
    pub(super) keys: Keys,
    #[serde(default)]
    pub(super) protect: Protect,
    #[serde(default)]
    pub(super) enrich: RawEnrich,
    #[serde(default)]
    pub(super) respond: RawRespond,
    #[serde(default)]
    pub(super) session: Session,
    #[serde(default)]
    pub(super) witness: Vec<RawWitness>,
    #[serde(default)]
    pub(super) witnessed: RawWitnessed,
    pub(super) backup: Option<RawBackup>,
    pub(super) retention: Option<RawRetention>,
    #[serde(default)]
    pub(super) scrub: RawScrub,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disk {
    pub(super) keep_free_mib: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protect {
    pub(super) personal: Option<bool>,
    #[serde(default)]
    pub(super) fields: Vec<Personal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Personal {
    pub(super) source: String,
    #[serde(default)]
    pub(super) subject: Vec<String>,
    pub(super) fields: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) master_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) master_command: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    pub(super) idle_secs: Option<u32>,
    pub(super) absolute_secs: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    #[serde(default = "http_listen")]
    pub(super) listen: SocketAddr,
    #[serde(default)]
    pub(super) open_to_network: bool,
}

fn http_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8080).into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    #[serde(default = "kafka_listen")]
    pub(super) listen: SocketAddr,
    pub(super) advertised: Option<String>,
    #[serde(default)]
    pub(super) open_to_network: bool,
    #[serde(default)]
    pub(super) auto_create: bool,
    #[serde(default)]
    pub(super) topics: Vec<Topic>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) mechanisms: Option<Vec<String>>,
    #[serde(default)]
    pub(super) users: Vec<ListenerUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenerUser {
    pub(super) name: String,
    pub(super) password_file: PathBuf,
    #[serde(default)]
    pub(super) topics: Vec<String>,
}

fn kafka_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9092).into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    pub(super) name: String,
    #[serde(default = "one")]
    pub(super) partitions: u32,
    #[serde(default = "auto")]
    pub(super) source: String,
}

fn one() -> u32 {
    1
}

fn auto() -> String {
    "auto".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kafka {
    pub(super) brokers: Option<String>,
    #[serde(default = "group")]
    pub(super) group: String,
    pub(super) instance: Option<String>,
    #[serde(default)]
    pub(super) topics: Vec<String>,
    pub(super) start: Option<KafkaStart>,
    pub(super) tls: Option<bool>,
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) key_password_file: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) mechanism: Option<String>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) sources: Vec<KafkaSource>,
    pub(super) publish: Option<Publish>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    pub(super) alerts: Option<String>,
    pub(super) facts: Option<String>,
    pub(super) start: Option<String>,
    pub(super) brokers: Option<String>,
    pub(super) tls: Option<bool>,
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) key_password_file: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) mechanism: Option<String>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
}

fn group() -> String {
    "custos".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KafkaSource {
    pub(super) topic: String,
    #[serde(rename = "type", default = "auto")]
    pub(super) kind: String,
    pub(super) start: Option<KafkaStart>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "start is \"earliest\", \"latest\", a time, an offset, or {PARTITION = OFFSET}"
)]
pub(super) enum KafkaStart {
    Text(String),
    Offset(i64),
    Offsets(BTreeMap<String, i64>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intake {
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) transport: Option<String>,
    pub(super) listen: SocketAddr,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    #[serde(default)]
    pub(super) tokens: Vec<IntakeToken>,
    #[serde(default)]
    pub(super) webhooks: Vec<RawWebhook>,
    #[serde(default)]
    pub(super) networks: Vec<String>,
    pub(super) shared_key_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) open_to_network: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntakeToken {
    pub(super) name: String,
    pub(super) sha256: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mappings {
    #[serde(default)]
    pub(super) folders: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    #[serde(default)]
    pub(super) folders: Vec<PathBuf>,
}
