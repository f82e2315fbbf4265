//! How far a topic is: the next fact to be published. Kept in the catalog, after the cluster's word on everything
//! before it; where the catalog is lost, or is of another log, the fact that publishing was begun says from where.

use crate::{
    config::kafka::publish::Start,
    exit::Failure,
    folder::{append_facts, system},
    pipeline::journal::{Journal, publishing_key},
};
use custos_event::{Fact, LogId, Partition, Publication, Seq};
use custos_store::{Store, catalog::Catalog};
use tracing::error;

const TABLE: &str = "published";

pub(super) struct Place {
    catalog: Catalog,
    key: Vec<u8>,
    next: Seq,
}

impl Place {
    /// Where to go on; a topic that was never told anything is begun, which the journal says first.
    pub(super) fn find(
        journal: &Journal,
        store: &Store,
        (what, topic): (Publication, &str),
        start: Start,
    ) -> Result<Self, Failure> {
        let (catalog, key) = (journal.catalog().clone(), publishing_key(what, topic));
        let end = store.next_seq(LogId::JOURNAL, Partition::default());
        let begun = journal.published_from(what, topic).map_err(Failure::store)?;
        let Some(from) = begun else {
            let from = match start {
                Start::First => Seq(0),
                Start::End => end,
            };
            let begun = Fact::PublishingBegun { what, topic: topic.to_owned(), from };
            append_facts(store, &system("publish"), vec![begun])?;
            return Ok(Self { catalog, key, next: from });
        };
        let kept = catalog.get(TABLE, &key).map_err(Failure::store)?;
        let kept = kept.and_then(|row| Some(Seq(u64::from_be_bytes(row.try_into().ok()?))));
        let next = kept.filter(|next| (from..=end).contains(next)).unwrap_or(from);
        Ok(Self { catalog, key, next })
    }

    pub(super) fn next(&self) -> Seq {
        self.next
    }

    /// The cluster has everything before `next`.
    pub(super) fn reach(&mut self, next: Seq) {
        if next == self.next {
            return;
        }
        self.next = next;
        if let Err(error) = self.catalog.put(TABLE, &self.key, &next.0.to_be_bytes()) {
            error!(%error, "what was published could not be noted; after a restart it is published again");
        }
    }
}
