//! The table of routes: what is not in it does not exist, and nobody may do more than it says. The router and
//! the OpenAPI document are made from it.

use super::{
    alerts, openapi,
    route::{Access, Route},
    search, session, users,
};
use crate::{
    auth::Permission::{ManageUsers, ReadAlerts, ReadAudit, ReadEvents},
    line::Line,
};

/// Every route below `/api/v1`.
pub(crate) fn table() -> Vec<Route> {
    [about(), session(), users(), search(), alerts()].into_iter().flatten().collect()
}

fn about() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", Access::Open, openapi::show, "This document")
            .gives::<openapi::Document>(),
    ]
}

fn session() -> Vec<Route> {
    vec![
        Route::get("/setup", Access::Open, session::setup_state, "Is there no account yet?")
            .gives::<session::SetupState>(),
        Route::post("/setup", Access::Open, session::set_up, "Make the first account; sign in")
            .takes::<session::FirstAccount>()
            .gives::<session::SessionShown>(),
        Route::post("/session", Access::Open, session::sign_in, "Sign in")
            .takes::<session::Credentials>()
            .gives::<session::SessionShown>(),
        Route::get("/session", Access::SignedIn, session::show, "Who is signed in")
            .gives::<session::SessionShown>(),
        Route::delete("/session", Access::SignedIn, session::sign_out, "Sign out").gives_nothing(),
        Route::post("/me/password", Access::SignedIn, session::change_password, "Change one's own")
            .takes::<session::NewPassword>()
            .gives::<session::SessionShown>(),
    ]
}

fn users() -> Vec<Route> {
    vec![
        Route::get("/users", ReadAudit, users::list, "Every account").gives::<users::Users>(),
        Route::post("/users", ManageUsers, users::create, "A new account")
            .takes::<users::NewUser>()
            .gives_new::<users::User>(),
        Route::patch("/users/{name}", ManageUsers, users::change, "Change an account")
            .takes::<users::UserChange>()
            .gives::<users::User>(),
    ]
}

fn search() -> Vec<Route> {
    vec![
        Route::get("/search", ReadEvents, search::search, "Find events, newest first")
            .query::<search::Ask>()
            .gives_lines::<Line<'_>>(),
        Route::get("/count", ReadEvents, search::count, "Count the events that a search finds")
            .query::<search::Ask>()
            .gives::<search::Counted>(),
    ]
}

fn alerts() -> Vec<Route> {
    vec![
        Route::get("/alerts", ReadAlerts, alerts::list, "The newest alerts")
            .query::<alerts::Newest>()
            .gives_lines::<alerts::AlertLine>(),
    ]
}
