//! The table of routes: what is not in it does not exist, and nobody may do more than it says. The router and
//! the OpenAPI document are made from it.

use super::{
    alerts, events, openapi, overview,
    route::{Access, Route},
    rules, search, session, sources, stream, users,
};
use crate::{
    auth::Permission::{ManageUsers, ReadAlerts, ReadAudit, ReadEvents, ReadSources, Triage},
    line::Line,
};

/// Every route below `/api/v1`.
pub(crate) fn table() -> Vec<Route> {
    let areas = [about(), session(), users(), search(), events(), alerts(), views()];
    areas.into_iter().flatten().collect()
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

fn events() -> Vec<Route> {
    vec![
        Route::get("/events", ReadEvents, events::list, "A page of a search, newest first")
            .query::<events::List>()
            .gives::<events::Events>(),
        Route::get("/events/histogram", ReadEvents, events::histogram, "Counts over time")
            .query::<events::Over>()
            .gives::<events::Histogram>(),
        Route::get("/events/fields", ReadEvents, events::fields, "Fields of the newest events")
            .query::<events::OfSample>()
            .gives::<events::Fields>(),
        Route::get("/events/values", ReadEvents, events::values, "Most frequent values of a field")
            .query::<events::OfField>()
            .gives::<events::Values>(),
        Route::get("/fields", ReadEvents, events::names, "Names of fields, for completion")
            .gives::<events::Names>(),
        Route::get("/events/{log}/{partition}/{seq}", ReadEvents, events::one, "One event")
            .gives::<events::OneEvent>(),
        Route::get(
            "/events/{log}/{partition}/{seq}/surrounding",
            ReadEvents,
            events::surrounding,
            "What the same source sent before and after",
        )
        .query::<events::Around>()
        .gives::<events::Surrounding>(),
    ]
}

fn alerts() -> Vec<Route> {
    vec![
        Route::get("/alerts", ReadAlerts, alerts::list, "The queue of alerts, newest first")
            .query::<alerts::List>()
            .gives::<alerts::Queue>(),
        Route::get("/alerts.ndjson", ReadAlerts, alerts::lines, "The newest alerts, one a line")
            .query::<alerts::Newest>()
            .gives_lines::<alerts::AlertLine>(),
        Route::get("/alerts/{id}", ReadAlerts, alerts::one, "One alert")
            .gives::<alerts::OneAlert>(),
        Route::post("/alerts/acknowledge", Triage, alerts::acknowledge, "Take alerts in hand")
            .takes::<alerts::Which>()
            .gives::<alerts::Changed>(),
        Route::post("/alerts/verdict", Triage, alerts::judge, "Judge alerts")
            .takes::<alerts::Judge>()
            .gives::<alerts::Changed>(),
    ]
}

fn views() -> Vec<Route> {
    vec![
        Route::get("/sources", ReadSources, sources::list, "What each source sent")
            .gives::<sources::Sources>(),
        Route::get("/sources/rejected", ReadEvents, sources::rejected, "What could not be read")
            .query::<sources::Rejected>()
            .gives::<events::Events>(),
        Route::get("/rules", ReadAlerts, rules::list, "The rules, and how often each hit")
            .gives::<rules::Rules>(),
        Route::get("/rules/{id}", ReadAlerts, rules::one, "One rule with its text")
            .gives::<rules::OneRule>(),
        Route::get("/overview", ReadAlerts, overview::show, "What is to do, and how it goes")
            .gives::<overview::Overview>(),
        Route::get("/stream", Access::SignedIn, stream::open, "What happens, as it happens")
            .query::<stream::Ask>()
            .gives_events::<stream::Message>(),
    ]
}
