//! SIGTERM under load: the server ends well within ten seconds, and the next start takes in no more than what was under
//! way when the followers had ended; nothing twice.

use anyhow::{Result, ensure};
use custos_tests::{api::Api, custos::Node, process::free_port, root};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Two shippers, one request of 20 events each.
const UNDER_WAY: f64 = 40.0;

/// Whether a request was answered decides nothing: the server may be gone. Only an answer of 200 counts.
fn ship_until_it_ends(api: &Api, serial: &AtomicU64, acked: &Mutex<u64>) {
    loop {
        let n = serial.fetch_add(1, Ordering::Relaxed);
        let line = format!("{{\"message\":\"event {n}\",\"door\":\"lobby\",\"forced\":false}}\n");
        if api.ship("doors", &line.repeat(20)).is_err() {
            return;
        }
        *acked.lock().unwrap_or_else(PoisonError::into_inner) += 20;
    }
}

#[test]
fn a_stop_under_load_is_clean_and_nothing_is_done_twice() -> Result<()> {
    let stops = if std::env::var_os("CUSTOS_LONG").is_some() { 200 } else { 2 };
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let rules = root().join("rules/detections");
    let config = format!("[rules]\nfolders = [\"{}\"]\n", rules.display());
    let mut node = Node::start(folder.path(), port, &config)?;
    let (serial, acked) = (AtomicU64::new(0), Mutex::new(0));
    for stop in 0..stops {
        let api = Api::new(&node, port)?;
        let before = *acked.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..2 {
                scope.spawn(|| ship_until_it_ends(&api, &serial, &acked));
            }
            let limit = std::time::Duration::from_secs(30);
            let loaded = node.wait_for_stored(before + 200, limit);
            // Fails unless it ends with 0 within ten seconds.
            let stopped = loaded.and_then(|()| node.stop());
            if stopped.is_err() {
                // So that the shippers end too.
                drop(node.kill());
            }
            stopped
        })?;
        node.restart()?;
        for counter in ["custos_index_events_total", "custos_detect_events_total"] {
            let again = node.metric(counter)?;
            ensure!(again <= UNDER_WAY, "stop {stop}: {counter} is {again} after the start");
        }
    }
    node.stop()?;
    let acked = acked.into_inner().unwrap_or_else(PoisonError::into_inner);
    let stored = node.stored()?;
    let counted = node.run(&["search", "--json", "--count", "*"])?.done()?.last_json()?;
    ensure!(counted["count"] == stored, "{stored} stored, {counted} found");
    // What was durable and not answered any more may be there beside it.
    ensure!(stored >= acked, "{acked} acknowledged, {stored} stored");
    println!("stops: {stops} clean, {acked} acknowledged, {stored} stored");
    Ok(())
}
