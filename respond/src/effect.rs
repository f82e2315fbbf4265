//! The edges that touch the world. Each takes arguments that are filled in, checked and journaled, and tells
//! what came of it: done, known not to have happened, or not known.
//!
//! Nothing here retries, follows redirects or runs programs; everything is bounded in size and time.

mod address;
mod email;
mod http;
mod kafka;

pub use email::{Mail, Smtp, SmtpTls, Transport};
pub use http::{Endpoint, agent_config};
pub use kafka::Kafka;

use crate::react::Key;
use custos_event::{
    Private, Timestamp,
    respond::{Action, Answer, Outcome, Phase},
};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// The peers that the configuration names; without a name nothing is reached.
pub struct World {
    endpoints: BTreeMap<String, http::Client>,
    mail: Option<Mail>,
    kafka: Option<kafka::Producer>,
}

/// A peer that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    #[error("endpoint '{name}': {reason}")]
    Endpoint { name: String, reason: String },
    #[error("mail: {0}")]
    Mail(String),
    #[error("kafka producer: {0}")]
    Kafka(String),
}

/// One effect to be carried out now.
#[derive(Clone, Copy, Debug)]
pub struct Order<'o> {
    pub action: &'o Action,
    pub phase: Phase,
    pub key: &'o Key,
    pub timeout: Duration,
    /// For a mail's date.
    pub at: Timestamp,
    /// Where a mail to a customer goes: in no fact and in nothing that is told.
    pub customer: Option<&'o Private<String>>,
}

impl World {
    pub fn new(
        endpoints: Vec<Endpoint>,
        mail: Option<Mail>,
        kafka: Option<&Kafka>,
    ) -> Result<Self, EffectError> {
        let mut clients = BTreeMap::new();
        for endpoint in endpoints {
            clients.insert(endpoint.name.clone(), http::Client::new(endpoint)?);
        }
        let kafka = kafka.map(kafka::Producer::new).transpose()?;
        Ok(Self { endpoints: clients, mail, kafka })
    }

    /// Carries the order out and waits for what comes of it.
    pub fn perform(&self, order: Order<'_>) -> Answer {
        match order.action {
            Action::Http(http) => match self.endpoints.get(&http.endpoint) {
                Some(client) => client.perform(http, order),
                None => missing(&format!("endpoint '{}'", http.endpoint), "[[respond.endpoints]]"),
            },
            Action::Email(mail) => match &self.mail {
                Some(sender) => sender.perform(mail, order),
                None => missing("mail server and no outbox", "[respond.mail]"),
            },
            Action::Kafka(message) => match &self.kafka {
                Some(producer) => producer.perform(message, order),
                None => missing("Kafka to write to", "[respond.kafka]"),
            },
            Action::Query(_) | Action::Task(_) => failed("is carried out by the server itself"),
        }
    }
}

fn missing(what: &str, section: &str) -> Answer {
    failed(format!("the configuration names no {what}; add it to {section}"))
}

fn failed(detail: impl Into<String>) -> Answer {
    Answer { outcome: Outcome::Failed, detail: detail.into(), output: Value::Null }
}

fn unknown(detail: impl Into<String>) -> Answer {
    Answer { outcome: Outcome::Unknown, detail: detail.into(), output: Value::Null }
}

fn done(output: Value) -> Answer {
    Answer { outcome: Outcome::Done, detail: String::new(), output }
}

/// An error with its whole chain, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests;
