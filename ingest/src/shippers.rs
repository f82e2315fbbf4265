//! HTTP as shippers speak it: Elasticsearch's `_bulk`, Splunk's event collector, OTLP, GELF, webhooks, all on one port.
//!
//! Each request is answered when its events are durable. Who has a token sends as the source that the token
//! names; without tokens, the port's own name is the source. [`access`] tells who asks, [`delivery`] what came
//! of it; each protocol has a file.

mod access;
mod callback;
mod delivery;
mod elastic;
mod gelf;
mod otlp;
mod report;
mod signature;
mod splunk;
mod webhook;

pub use access::{Token, TokenBook};
pub use axum::http::HeaderName;
pub use callback::fxiaoke_key;
pub use signature::{Form, Proof};
pub use webhook::Webhook;

use crate::{
    batch::Intake,
    body::{Bodies, BodyLimits},
    gate::Gate,
};
use axum::{Router, extract::DefaultBodyLimit};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct ShippersConfig {
    /// The source of who needs no token.
    pub name: Arc<str>,
    /// With any, each request needs one of them.
    pub tokens: Vec<Token>,
    /// A port that has these and no tokens takes nothing else.
    pub webhooks: Vec<Webhook>,
    /// Tokens that hold beside those, while they do.
    pub book: Arc<TokenBook>,
    pub limits: BodyLimits,
}

/// What every route needs.
pub(crate) struct Shippers<I> {
    config: ShippersConfig,
    gate: Gate<I>,
    bodies: Bodies,
}

/// The routes of one port.
pub fn router<I: Intake>(config: ShippersConfig, gate: Gate<I>) -> Router {
    let bodies = Bodies::new(config.limits.clone());
    let state = Arc::new(Shippers { config, gate, bodies });
    elastic::routes()
        .merge(splunk::routes())
        .merge(otlp::routes())
        .merge(gelf::routes())
        .merge(webhook::routes())
        // Bodies are bounded by `Bodies`, which answers as each protocol has it.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

#[cfg(test)]
mod tests;
