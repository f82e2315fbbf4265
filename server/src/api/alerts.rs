//! Alerts, as `custos alerts` prints them.

use super::{State, blocking, extract::Query, problem::Problem};
use anyhow::Context as _;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    /// How many at most; 0 is all.
    #[serde(default = "limit")]
    limit: usize,
}

fn limit() -> usize {
    50
}

/// One alert, as the journal has it.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
pub(super) struct AlertLine(custos_event::Alert);

pub(super) async fn list(
    state: State,
    Query(newest): Query<Newest>,
) -> Result<impl IntoResponse, Problem> {
    let lines = move || {
        let limit = if newest.limit == 0 { usize::MAX } else { newest.limit };
        state.journal.catch_up()?;
        let mut body = Vec::new();
        for alert in state.journal.alerts(limit)? {
            serde_json::to_writer(&mut body, &AlertLine(alert)).context("an alert")?;
            body.push(b'\n');
        }
        Ok(body)
    };
    let body = blocking(lines).await?;
    Ok(([("content-type", "application/x-ndjson")], body))
}
