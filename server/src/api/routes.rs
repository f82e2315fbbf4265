//! The table of routes: what is not in it does not exist, and nobody may do more than it says. The router and
//! the OpenAPI document are made from it.

use super::{
    alerts, openapi,
    route::{Access, Route},
    search,
};
use crate::{
    auth::Permission::{ReadAlerts, ReadEvents},
    line::Line,
};

/// Every route below `/api/v1`.
pub(crate) fn table() -> Vec<Route> {
    [about(), search(), alerts()].into_iter().flatten().collect()
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

fn alerts() -> Vec<Route> {
    vec![
        Route::get("/alerts", ReadAlerts, alerts::list, "The newest alerts")
            .query::<alerts::Newest>()
            .gives_lines::<alerts::AlertLine>(),
    ]
}
