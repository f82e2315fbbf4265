//! What answers over HTTP: the API, metrics and readiness, the intake of lines.

mod connections;

use crate::{
    api::{self, State},
    clock::SystemClock,
    console,
    pipeline::intake::StoreIntake,
};
use anyhow::Context as _;
use axum::{Router, middleware::from_fn, response::IntoResponse, routing::get};
use connections::{HEAD_WITHIN, Speaking};
use custos_ingest::{
    Decoders, Gate, HttpConfig, HttpIntake,
    port::tls::Acceptor,
    shippers::{self, ShippersConfig},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{future::Future, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Makes the process count; what is counted is read with the handle.
pub(crate) fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("cannot count: a recorder is set already")?;
    Ok(handle)
}

/// Takes the address now; serves until `stop` when awaited.
pub(crate) async fn bind(
    listen: SocketAddr,
    state: State,
    intake: StoreIntake,
    decoders: Decoders,
    stop: CancellationToken,
) -> anyhow::Result<(SocketAddr, impl Future<Output = anyhow::Result<()>> + Send)> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!(
            "cannot listen on {listen} for HTTP; end what uses that port, or set another as \
             [http] listen in the configuration"
        )
    })?;
    let address = listener.local_addr().context("cannot read the address listened on")?;
    let router = router(state, intake, decoders);
    let serve = async move {
        let speaking = Speaking::default();
        connections::serve(listener, speaking, router, HEAD_WITHIN, stop).await;
        Ok(())
    };
    Ok((address, serve))
}

/// The same for a port that shippers alone speak to, with its own routes and, where asked, TLS.
pub(crate) async fn bind_shippers(
    listen: SocketAddr,
    tls: Option<Acceptor>,
    config: ShippersConfig,
    gate: Gate<StoreIntake>,
    stop: CancellationToken,
) -> anyhow::Result<(SocketAddr, impl Future<Output = anyhow::Result<()>> + Send)> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!(
            "intake '{}' cannot use {listen}; end what uses that port, or set another as its listen",
            config.name
        )
    })?;
    let address = listener.local_addr().context("cannot read the address listened on")?;
    let router = shippers::router(config, gate);
    let serve = async move {
        let speaking = Speaking { tls, finishes: true };
        connections::serve(listener, speaking, router, HEAD_WITHIN, stop).await;
        Ok(())
    };
    Ok((address, serve))
}

fn router(state: State, intake: StoreIntake, decoders: Decoders) -> Router {
    let clock = Arc::new(SystemClock);
    let intake = HttpIntake::new(HttpConfig::default(), Arc::new(intake), decoders, clock);
    let intake = custos_ingest::http::router(intake);
    let api = api::router(&state);
    let metrics = Router::new().route("/metrics", get(metrics)).with_state(state);
    let all = metrics.merge(api).merge(intake).merge(console::router());
    all.layer(from_fn(api::headers::set))
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus gauges are floats")]
async fn metrics(state: State) -> impl IntoResponse {
    let api::Shared { metrics, opened, index, auth, .. } = &*state;
    for (log, partition) in opened.store.logs() {
        let records = opened.store.next_seq(log, partition).0;
        metrics::gauge!("custos_log_records", "log" => log.to_string()).set(records as f64);
    }
    metrics::gauge!("custos_log_commit").set(opened.store.last_commit().0 as f64);
    let paused = opened.store.paused();
    metrics::gauge!("custos_intake_paused").set(f64::from(u8::from(paused.is_some())));
    metrics::gauge!("custos_password_hashes").set(auth.hashes_computed() as f64);
    metrics::gauge!("custos_index_commit").set(index.cursor().commit().0 as f64);
    for state in state.witnesses.states() {
        for (log, partition) in opened.store.logs().into_iter().filter(|(_, part)| part.0 == 0) {
            let records = opened.store.next_seq(log, partition).0;
            let sent = state.sent.get(&log.to_string()).map_or(0, |sent| sent.size);
            let (witness, log) = (state.name.clone(), log.to_string());
            metrics::gauge!("custos_witness_sent_records", "witness" => witness.clone(), "log" => log.clone())
                .set(sent as f64);
            metrics::gauge!("custos_witness_lag_records", "witness" => witness, "log" => log)
                .set(records.saturating_sub(sent) as f64);
        }
        metrics::gauge!("custos_witness_failures", "witness" => state.name).set(state.failures);
    }
    if let Some(bytes) = crate::memory::resident() {
        metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    metrics.run_upkeep();
    ([("content-type", "text/plain; version=0.0.4")], metrics.render())
}
