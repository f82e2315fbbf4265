//! A playbook as a run keeps it: a run goes by the text it was started with, whatever becomes of the file.
//!
//! `{a.b}` inside a text stands for a look-up; conditions are texts in the closed language of
//! `respond::expr`. Neither is ever code.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

/// The steps of one version of a playbook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub playbook: String,
    /// SHA-256 of the file's text, hex.
    pub version: String,
    pub title: String,
    /// In Chinese; empty where nobody wrote one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title_zh: String,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in its playbook; steps after it look its output up by this.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// In Chinese; empty where nobody wrote one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title_zh: String,
    pub effect: EffectClass,
    pub action: Action,
    /// What is acted on: `{inputs.address}`. Shown in approvals and in the ledger of open effects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The step is left out where this does not hold.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Tells whether it is so already; its condition is about `answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precheck: Option<Check>,
    /// Tells whether it took hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Check>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Action>,
    /// After this time the undo happens by itself: `4h`, or a look-up of a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_after: Option<String>,
    pub timeout_secs: u64,
    /// Further attempts after a failure; reads only.
    #[serde(default)]
    pub retries: u8,
}

/// What a step does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    Read,
    Reversible,
    Irreversible,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    Http(Http),
    Email(MailText),
    Kafka(Message),
    Query(Query),
    Task(TaskOrder),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// One of those that the configuration names: nothing else is ever reached.
    pub endpoint: String,
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: String,
    /// Below the endpoint's address; look-ups in it are percent-encoded.
    pub path: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailText {
    /// Addresses, or names of groups that the configuration has.
    pub to: Vec<String>,
    /// Instead of them, a customer by the id that events name: the register says where to, when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    pub subject: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub topic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub json: Value,
}

/// A search whose answer is attached to the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    pub query: String,
    /// How far back from the moment of the step.
    pub within_secs: u64,
    /// Events whose places are kept.
    pub limit: u32,
}

/// A recovery task to be opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskOrder {
    pub title: String,
    /// In Chinese; empty where nobody wrote one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title_zh: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Seconds from the opening.
    pub due_secs: u64,
    /// Recovery time objective: seconds within which the thing has to work again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_secs: Option<u64>,
    /// Shows that what was recovered is clean; asked when somebody says that the task is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Check>,
}

/// A read, and what its answer has to satisfy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub http: Http,
    /// A condition over `answer.status` and `answer.body`.
    pub holds: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Any one of them.
    pub roles: Vec<String>,
    pub expires_secs: u64,
}

/// A value that a person or an alert gave, checked against its declared type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum InputValue {
    Text(String),
    Address(IpAddr),
    User(String),
    Door(String),
    Number(i64),
    /// Seconds.
    Duration(u64),
    Bool(bool),
}
