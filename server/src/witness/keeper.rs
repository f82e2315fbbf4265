//! Sends each witness the logs' heads when they are due, and remembers what it has.

use super::{
    Sent, State, Witnesses,
    config::{Witness, Witnessing},
    place::{With, send},
};
use custos_event::{Clock, Timestamp};
use custos_evidence::Checkpoint;
use custos_respond::effect::World;
use custos_store::{Store, catalog::Catalog};
use futures_util::future::join_all;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// In the catalog: a memory of what was sent. Lost, the heads go out once more.
const TABLE: &str = "witnesses";
/// How often it is looked who is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failure: 10 s, then twice as long each time, up to 10 min; never longer than the witness waits anyway,
/// but for one that wants heads each second.
const RETRY_SECS_MIN: u32 = 10;
const RETRY_SECS_MAX: u32 = 600;

/// What the keeper works with.
pub(crate) struct Means {
    pub(crate) store: Store,
    pub(crate) world: Arc<World>,
    pub(crate) catalog: Catalog,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The witnesses as the catalog remembers them, and the task that keeps them supplied.
pub(crate) fn keep(
    witnessing: &Witnessing,
    means: Means,
    stop: CancellationToken,
) -> anyhow::Result<(Witnesses, impl Future<Output = anyhow::Result<()>> + Send + use<>)> {
    let mut states = Vec::new();
    for Witness { name, to, .. } in &witnessing.witnesses {
        let (name, kind, sent) = (name.clone(), to.kind(), load(&means.catalog, name)?);
        let next_at = Timestamp::default();
        states.push(State { name, kind, sent, failures: 0, error: None, next_at });
    }
    let witnesses = Witnesses::new(witnessing.accepted(), states);
    let (shared, configured) = (witnesses.clone(), witnessing.witnesses.clone());
    let task = async move {
        // Each at its own pace: one that does not answer keeps no other waiting.
        let each = configured.iter().enumerate();
        let each = each.map(|place| supply(place, &shared, &means, &stop));
        join_all(each).await;
        stop.cancelled().await;
        Ok(())
    };
    Ok((witnesses, task))
}

/// Sends one witness what is due, until the server stops.
async fn supply(
    (index, witness): (usize, &Witness),
    witnesses: &Witnesses,
    means: &Means,
    stop: &CancellationToken,
) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let now = means.clock.now();
        let Some(state) = witnesses.state(index).filter(|state| state.next_at <= now) else {
            continue;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            result = send_one(witness, &state, means, now) => {
                take_note((index, witness), &state, witnesses, means, (now, result));
            }
        }
    }
}

/// Tells what came of it, and remembers it.
fn take_note(
    (index, witness): (usize, &Witness),
    state: &State,
    witnesses: &Witnesses,
    means: &Means,
    (now, result): (Timestamp, anyhow::Result<Vec<Checkpoint>>),
) {
    match &result {
        Ok(heads) => {
            if !heads.is_empty() && state.failures > 0 {
                info!(witness = witness.name, "a witness takes checkpoints again");
            }
            remember(&means.catalog, &witness.name, heads, now);
        }
        Err(error) => {
            metrics::counter!("custos_witness_failures_total", "witness" => witness.name.clone())
                .increment(1);
            let error = format!("{error:#}");
            error!(witness = witness.name, error, "a witness was not sent its checkpoints");
        }
    }
    witnesses.change(index, |state| settle(state, witness, now, result));
}

/// Sends the heads that this witness has not got, and says which.
async fn send_one(
    witness: &Witness,
    state: &State,
    means: &Means,
    at: Timestamp,
) -> anyhow::Result<Vec<Checkpoint>> {
    let store = means.store.clone();
    let heads = tokio::task::spawn_blocking(move || store.checkpoint()).await??;
    let news = |head: &Checkpoint| {
        head.size > 0 && state.sent.get(head.log()).is_none_or(|sent| sent.size != head.size)
    };
    let heads: Vec<_> = heads.into_iter().filter(news).collect();
    if heads.is_empty() {
        return Ok(heads);
    }
    let with = With { store: means.store.clone(), world: Arc::clone(&means.world), at };
    send(&witness.name, &witness.to, heads.clone(), with).await?;
    Ok(heads)
}

fn settle(
    state: &mut State,
    witness: &Witness,
    now: Timestamp,
    result: anyhow::Result<Vec<Checkpoint>>,
) {
    match result {
        Ok(heads) => {
            let sent =
                |head: &Checkpoint| (head.log().to_owned(), Sent { size: head.size, at: now });
            state.sent.extend(heads.iter().map(sent));
            (state.failures, state.error) = (0, None);
            state.next_at = now.plus_secs(witness.every_secs.into());
        }
        Err(error) => {
            let doubled = RETRY_SECS_MIN.saturating_mul(1 << state.failures.min(6));
            let wait = doubled.min(RETRY_SECS_MAX).min(witness.every_secs.max(RETRY_SECS_MIN));
            state.failures = state.failures.saturating_add(1);
            state.error = Some(format!("{error:#}"));
            state.next_at = now.plus_secs(wait.into());
        }
    }
}

fn key(witness: &str, log: &str) -> Vec<u8> {
    format!("{witness}/{log}").into_bytes()
}

fn remember(catalog: &Catalog, witness: &str, heads: &[Checkpoint], at: Timestamp) {
    for head in heads {
        let value = [head.size.to_be_bytes(), at.0.to_be_bytes()].concat();
        if let Err(error) = catalog.put(TABLE, &key(witness, head.log()), &value) {
            error!(%error, witness, "what a witness has could not be noted; it is sent again");
        }
    }
}

fn load(catalog: &Catalog, witness: &str) -> anyhow::Result<BTreeMap<String, Sent>> {
    let mut sent = BTreeMap::new();
    let prefix = key(witness, "");
    for row in catalog.scan(TABLE, &prefix) {
        let (key, value) = row?;
        let log = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        let (numbers, _) = value.as_chunks::<8>();
        if let [size, at] = numbers {
            let at = Timestamp(i64::from_be_bytes(*at));
            sent.insert(log, Sent { size: u64::from_be_bytes(*size), at });
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::config::To;
    use anyhow::anyhow;

    #[test]
    fn a_witness_that_fails_is_tried_again_ever_more_rarely_and_at_last_every_ten_minutes() {
        let witness = Witness { name: "a".into(), every_secs: 3_600, to: To::Mail(Vec::new()) };
        let (sent, next_at) = (BTreeMap::new(), Timestamp::default());
        let (name, kind) = ("a".into(), "mail");
        let mut state = State { name, kind, sent, failures: 0, error: None, next_at };
        let mut waits = Vec::new();
        for _ in 0..9 {
            settle(&mut state, &witness, Timestamp(0), Err(anyhow!("no")));
            waits.push(state.next_at.as_millis() / 1_000);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!((state.failures, state.error.as_deref()), (9, Some("no")));
        settle(&mut state, &witness, Timestamp(0), Ok(Vec::new()));
        assert_eq!((state.failures, state.error.as_deref()), (0, None));
        assert_eq!(state.next_at, Timestamp::from_secs(3_600));
    }
}
