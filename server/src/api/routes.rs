//! The table of routes: what is not in it does not exist, and nobody may do more than it says. The router and
//! the OpenAPI document are made from it.

use super::{
    alerts, events, openapi, overview,
    route::{Access, Route},
    rules, search, sources, stream,
};
use crate::{
    auth::Permission::{ReadAlerts, ReadEvents, ReadSources, Triage},
    line::Line,
};

/// Every route below `/api/v1`.
pub(crate) fn table() -> Vec<Route> {
    [about(), search(), events(), alerts(), views()].into_iter().flatten().collect()
}

fn about() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", Access::Open, openapi::show, "This document")
            .gives::<openapi::Document>(),
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
