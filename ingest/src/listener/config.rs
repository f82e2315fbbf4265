//! What an operator decides about the listener, and its limits.

use super::{login::User, records::BATCH_BYTES_MAX};
use crate::{kafka::Mechanism, port::tls::Acceptor};
use std::{collections::BTreeMap, net::SocketAddr};

#[derive(Clone)]
pub struct ListenerConfig {
    pub listen: SocketAddr,
    /// Host and port that clients are told to connect to; by default the address they reached.
    pub advertised: Option<(String, u16)>,
    /// The topics that are taken, each with its number of partitions.
    pub topics: BTreeMap<String, u32>,
    /// Takes topics not named above too, with one partition each.
    pub auto_create: bool,
    /// Topics at most, made ones included.
    pub topics_max: usize,
    /// A request at most.
    pub frame_bytes_max: usize,
    /// Requests in flight at most, over all connections; beyond it the listener stops reading.
    pub frames_bytes_max: usize,
    /// One batch inflated at most; never more than 16 MiB, since it is stored whole or not at all.
    pub batch_bytes_max: usize,
    /// Memory at most for events that are read and not yet durable, over all connections; beyond it
    /// batches wait to be read.
    pub events_bytes_max: usize,
    pub connections_max: usize,
    /// Clients speak TLS, and show a certificate where this asks for one.
    pub tls: Option<Acceptor>,
    /// Who may log in, by name. Empty: nobody is asked.
    pub users: BTreeMap<String, User>,
    /// How it may be shown who one is.
    pub mechanisms: Vec<Mechanism>,
}

/// RELIABILITY §4's 10 MiB for the records, and 64 KiB for the request around them.
const FRAME_BYTES_MAX: usize = (10 << 20) + (64 << 10);

impl ListenerConfig {
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            advertised: None,
            topics: BTreeMap::new(),
            auto_create: false,
            topics_max: 1_000,
            frame_bytes_max: FRAME_BYTES_MAX,
            // Six of the largest requests, or a thousand of librdkafka's usual 64 KiB.
            frames_bytes_max: 64 << 20,
            batch_bytes_max: BATCH_BYTES_MAX,
            // Two of the largest batches, or four appends of 8,192 usual events, decoded.
            events_bytes_max: 192 << 20,
            // 64 KiB of reading buffer each: 64 MiB, and up to half as much again where they speak TLS.
            connections_max: 1_000,
            tls: None,
            users: BTreeMap::new(),
            mechanisms: Mechanism::ALL.to_vec(),
        }
    }
}

/// Kafka's rule: 1 to 249 letters, digits, dots, underscores or hyphens; not a path.
pub fn is_topic_name(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
