//! Who asks: put into each request by the guard, taken by the handlers that write down who acted.

use super::{State, problem::Problem};
use crate::auth::{Permission, Permissions};
use axum::{
    extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use custos_event::{Actor, Private, Timestamp, account::Role};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use tokio_util::sync::CancellationToken;

/// A person who signed in, or an API token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// For the facts that follow from the request.
    pub(crate) actor: Actor,
    /// None for a token.
    pub(crate) roles: Vec<Role>,
    pub(crate) permissions: Permissions,
    /// None for a token.
    pub(crate) session: Option<SignedIn>,
    /// Turns to cancelled when the session ends: an answer that goes on (a stream) ends with it.
    pub(crate) ended: CancellationToken,
}

/// The session that a request came in.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) id: Private<String>,
    pub(crate) ends_at: Timestamp,
}

impl Caller {
    /// For what a handler gives to some only; a route's own permission is checked before it.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.permissions.hold(permission)
    }

    /// The account's or token's name.
    pub(crate) fn name(&self) -> &str {
        self.actor.name()
    }
}

impl FromRequestParts<State> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::sign_in)
    }
}

impl OptionalFromRequestParts<State> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Where the connection comes from; a proxy's address, where one stands before Custos.
pub(super) struct From(pub(super) IpAddr);

impl FromRequestParts<State> for From {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip())))
    }
}
