//! A query's answer, kept with an incident: how many events, the places of the newest, a digest of their bytes.

use crate::pipeline::tolerant::Tolerant;
use anyhow::Context as _;
use custos_event::{
    Position, Timestamp,
    respond::{Evidence, Query as Ordered},
};
use custos_search::{Index, Query, SearchRequest};
use custos_store::Store;
use sha2::{Digest as _, Sha256};

/// Finds what query steps ask for.
#[derive(Clone)]
pub(crate) struct Searcher {
    pub(crate) index: Index,
    pub(crate) store: Store,
}

impl Searcher {
    /// The events up to `now`, as far back as the order says.
    pub(crate) fn collect(
        &self,
        (title, title_zh): (String, String),
        order: &Ordered,
        now: Timestamp,
    ) -> anyhow::Result<Evidence> {
        let (query, request) = read(order, now)?;
        let log = Tolerant::new(&self.store);
        let (count, _) = self.index.count(&query, &request, &log)?;
        let mut events = Vec::new();
        self.index.search_each(&query, &request, &log, &mut |hit| {
            events.push(hit.position);
            true
        })?;
        let sha256 = self.digest(&events)?;
        let query = order.query.clone();
        let (from, to) = (request.from.unwrap_or_default(), request.to.unwrap_or(now));
        Ok(Evidence { title, title_zh, query, from, to, count, events, sha256 })
    }

    /// How many they are.
    pub(crate) fn count(&self, order: &Ordered, now: Timestamp) -> anyhow::Result<u64> {
        let (query, request) = read(order, now)?;
        Ok(self.index.count(&query, &request, &Tolerant::new(&self.store))?.0)
    }

    fn digest(&self, events: &[Position]) -> anyhow::Result<String> {
        let mut digest = Sha256::new();
        for at in events {
            if let Some(bytes) = self.store.read(*at)? {
                digest.update(&bytes);
            }
        }
        Ok(crate::hex::hex(&digest.finalize()))
    }
}

/// The query, and the time it asks about.
fn read(order: &Ordered, now: Timestamp) -> anyhow::Result<(Query, SearchRequest)> {
    let query = Query::parse(&order.query).context("the query does not read")?;
    let secs = i64::try_from(order.within_secs).unwrap_or(i64::MAX);
    let (from, to) = (now.plus_secs(secs.saturating_neg()), now.plus_secs(1));
    let limit = usize::try_from(order.limit).unwrap_or(usize::MAX).max(1);
    Ok((query, SearchRequest { from: Some(from), to: Some(to), limit }))
}
