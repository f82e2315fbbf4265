//! Signing in and out, the first account, one's own password.

use super::{
    State, blocking,
    caller::{Caller, From},
    cookie,
    extract::Json,
    problem::Problem,
};
use crate::auth::{AccountError, Permissions, SignInError, hasher::HashError};
use axum::{
    http::{StatusCode, header::SET_COOKIE},
    response::{IntoResponse, IntoResponseParts},
};
use custos_event::{AccountCommand, Private, Role, Timestamp, account::AccountRejection};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the first account is still to be made.
#[derive(Serialize, ToSchema)]
pub(super) struct SetupState {
    required: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstAccount {
    /// What the server printed at its start, after `#setup=`.
    token: String,
    name: String,
    /// At least 15 characters.
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    name: String,
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    current: String,
    /// At least 15 characters.
    password: String,
}

/// Who is signed in, and what a page needs to know of it.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionShown {
    user: UserShown,
    /// To be sent as X-CSRF-Token with every change; null for a token, which needs none.
    csrf: Option<String>,
    /// The session ends when nothing is asked for so long.
    idle_secs: u32,
    /// The session ends then, whatever is asked; null for a token.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct UserShown {
    name: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    permissions: Permissions,
}

pub(super) async fn setup_state(state: State) -> Json<SetupState> {
    Json(SetupState { required: state.auth.accounts.setup_required() })
}

pub(super) async fn set_up(
    state: State,
    Json(first): Json<FirstAccount>,
) -> Result<impl IntoResponse, Problem> {
    let [token, password] = [first.token, first.password].map(Private::new);
    let id = state.auth.set_up(token, &first.name, password).await?;
    opened(&state, &id)
}

pub(super) async fn sign_in(
    state: State,
    old: Option<Caller>,
    From(address): From,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let id = state.auth.sign_in(&given.name, Private::new(given.password), address).await?;
    // The id of before may be known to somebody else: it ends here.
    if let Some(session) = old.and_then(|old| old.session) {
        state.auth.sessions.end(session.id.reveal());
    }
    opened(&state, &id)
}

pub(super) async fn show(state: State, caller: Caller) -> Json<SessionShown> {
    Json(shown(&state, &caller))
}

pub(super) async fn sign_out(state: State, caller: Caller) -> Result<impl IntoResponse, Problem> {
    if let Some(session) = &caller.session {
        state.auth.sessions.end(session.id.reveal());
        let out = move || {
            let commands = vec![AccountCommand::SignOut];
            let (actor, name) = (&caller.actor, caller.name());
            Ok(state.auth.accounts.command(actor, name, commands).map_err(SignInError::from)?)
        };
        blocking(out).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie::clear())]))
}

pub(super) async fn change_password(
    state: State,
    caller: Caller,
    From(address): From,
    Json(new): Json<NewPassword>,
) -> Result<impl IntoResponse, Problem> {
    if caller.session.is_none() {
        return Err(Problem::forbidden("a token has no password"));
    }
    let [current, password] = [new.current, new.password].map(Private::new);
    let changed = state.auth.change_password(caller.name(), current, password, address).await;
    let id = changed.map_err(|error| match error {
        SignInError::Wrong => Problem::forbidden("the current password is another one"),
        SignInError::TooOften(_)
        | SignInError::Weak(_)
        | SignInError::Hash(_)
        | SignInError::Account(_) => error.into(),
    })?;
    opened(&state, &id)
}

/// The answer that hands a new session to the browser.
pub(super) fn opened(
    state: &State,
    id: &Private<String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let caller = super::guard::of_session(state, id, true).ok_or_else(Problem::sign_in)?;
    Ok(([(SET_COOKIE, cookie::set(id))], Json(shown(state, &caller))))
}

/// A new session instead of the one that a change of one's own account has ended.
pub(super) fn renewed(
    state: &State,
    name: &str,
) -> Result<impl IntoResponseParts + use<>, Problem> {
    let id = state.auth.renew(name)?;
    Ok([(SET_COOKIE, cookie::set(&id))])
}

fn shown(state: &State, caller: &Caller) -> SessionShown {
    SessionShown {
        user: UserShown {
            name: caller.name().to_owned(),
            roles: caller.roles.clone(),
            permissions: caller.permissions.clone(),
        },
        csrf: caller.session.as_ref().map(|session| cookie::csrf(&session.id)),
        idle_secs: state.auth.sessions.lifetime().idle_secs,
        expires_at: caller.session.as_ref().map(|session| session.ends_at),
    }
}

impl std::convert::From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let text = error.to_string();
        match error {
            SignInError::Wrong => Self::new(StatusCode::UNAUTHORIZED, text),
            SignInError::TooOften(often) => Self::too_many(text, often.wait_secs),
            SignInError::Weak(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            SignInError::Hash(HashError::Busy) => Self::too_many(text, 2),
            SignInError::Hash(HashError::Failed(error)) => Self::failed(&error),
            SignInError::Account(error) => error.into(),
        }
    }
}

impl std::convert::From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let status = match &error {
            AccountError::Failed(error) => return Self::failed(error),
            AccountError::Name(_) | AccountError::Account(AccountRejection::NoRole) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            AccountError::Account(AccountRejection::Unknown) => StatusCode::NOT_FOUND,
            AccountError::Setup(custos_event::account::SetupRejection::WrongToken) => {
                StatusCode::FORBIDDEN
            }
            AccountError::Account(AccountRejection::Exists | AccountRejection::Disabled)
            | AccountError::Setup(custos_event::account::SetupRejection::Done)
            | AccountError::SetupBusy
            | AccountError::LastAdmin
            | AccountError::Full => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}
