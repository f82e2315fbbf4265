//! In front of every handler: who asks, and may they.

use super::{State, caller::Caller, problem::Problem, route::Access};
use crate::auth::Permissions;
use axum::{
    extract::{self, Request},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use custos_event::Actor;

/// What a route's guard knows.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) state: State,
    pub(super) access: Access,
}

pub(super) async fn check(
    extract::State(guard): extract::State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match caller(&guard.state, &request) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = admit(guard.access, caller.as_ref()) {
        return problem.into_response();
    }
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// Who sent this; a wrong token is refused, whatever else is sent.
fn caller(state: &State, request: &Request) -> Result<Option<Caller>, Problem> {
    let Some(token) = bearer(request.headers()) else { return Ok(None) };
    if !state.token.is(token) {
        return Err(Problem::sign_in());
    }
    let actor = Actor::Token { name: "api".into() };
    Ok(Some(Caller { actor, roles: Vec::new(), permissions: Permissions::of_token() }))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn admit(access: Access, caller: Option<&Caller>) -> Result<(), Problem> {
    match (access, caller) {
        (Access::Open, _) | (Access::SignedIn, Some(_)) => Ok(()),
        (Access::SignedIn | Access::May(_), None) => Err(Problem::sign_in()),
        (Access::May(permission), Some(caller)) if caller.may(permission) => Ok(()),
        (Access::May(permission), Some(_)) => Err(Problem::lacks(permission)),
    }
}
