//! Accounts: who there is, new ones, and their changes.

use super::{
    State,
    caller::Caller,
    extract::{Json, Path},
    problem::Problem,
    session,
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use custos_event::{Account, AccountCommand, Private, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Every account, by name.
#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<User>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct User {
    name: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    disabled: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// Up to 64 of a-z, 0-9, `.`, `-`, `_` and `@`.
    name: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// At least 15 characters.
    password: String,
}

/// What is absent stays as it is. A change of roles or password, or disabling, ends the account's sessions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    #[schema(value_type = Option<Vec<String>>)]
    roles: Option<Vec<Role>>,
    disabled: Option<bool>,
    /// At least 15 characters.
    password: Option<String>,
}

impl User {
    fn of(name: String, account: &Account) -> Self {
        Self { name, roles: account.roles().to_vec(), disabled: account.disabled() }
    }

    fn now(state: &State, name: &str) -> Result<Self, Problem> {
        let account = state.auth.accounts.find(name);
        let account = account.ok_or_else(|| Problem::not_found("there is no such account"))?;
        Ok(Self::of(name.to_owned(), &account))
    }
}

pub(super) async fn list(state: State) -> Json<Users> {
    let users = state.auth.accounts.all();
    Json(Users { users: users.into_iter().map(|(name, user)| User::of(name, &user)).collect() })
}

pub(super) async fn create(
    state: State,
    caller: Caller,
    Json(new): Json<NewUser>,
) -> Result<impl IntoResponse, Problem> {
    let hash = state.auth.chosen(&new.name, Private::new(new.password)).await?;
    let password = state.auth.accounts.seal(&new.name, &hash)?;
    let create = AccountCommand::Create { roles: new.roles, password };
    state.auth.command(caller.actor, &new.name, vec![create]).await?;
    Ok((StatusCode::CREATED, Json(User::now(&state, &new.name)?)))
}

pub(super) async fn change(
    state: State,
    caller: Caller,
    Path(name): Path<String>,
    Json(change): Json<UserChange>,
) -> Result<Response, Problem> {
    User::now(&state, &name)?;
    let mut commands = Vec::new();
    commands.extend(change.roles.map(|roles| AccountCommand::ChangeRoles { roles }));
    if let Some(password) = change.password {
        let hash = state.auth.chosen(&name, Private::new(password)).await?;
        let password = state.auth.accounts.seal(&name, &hash)?;
        commands.push(AccountCommand::ChangePassword { password });
    }
    let disabled = |disabled| {
        if disabled { AccountCommand::Disable } else { AccountCommand::Enable }
    };
    commands.extend(change.disabled.map(disabled));
    let own = caller.session.is_some() && caller.name() == name;
    state.auth.command(caller.actor, &name, commands).await?;
    let user = User::now(&state, &name)?;
    if own && !user.disabled {
        let cookie = session::renewed(&state, &name)?;
        return Ok((cookie, Json(user)).into_response());
    }
    Ok(Json(user).into_response())
}
