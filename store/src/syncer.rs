//! The thread that makes written frames durable, then tells everyone: the log's state, followers, callers.

use crate::{
    error::StoreError,
    opened::{BlockRef, Opened},
    queue::Answer,
    shared::Shared,
    stream::Stream,
    table::Rows,
    tree::{Frontier, Hash},
};
use custos_event::{Commit, Committed};
use std::sync::{Arc, mpsc::Receiver};
use tokio::sync::OwnedSemaphorePermit;

/// A frame that is written and not yet synced, and what becomes true once it is.
pub(crate) struct Flight {
    pub(crate) stream: Arc<Stream>,
    pub(crate) opened: Arc<Opened>,
    pub(crate) block: BlockRef,
    pub(crate) nodes: Vec<Hash>,
    pub(crate) frontier: Frontier,
    pub(crate) rows: Rows,
    pub(crate) commit: Arc<Commit>,
    pub(crate) answers: Vec<(Answer, Committed, OwnedSemaphorePermit)>,
}

impl Flight {
    pub(crate) fn refuse(self, error: &StoreError) {
        for (answer, _, _room) in self.answers {
            // The caller may have given up waiting; then nobody is there to be told.
            let _gone = answer.send(Err(error.clone()));
        }
    }
}

/// Until the writer ends.
pub(crate) fn run(shared: &Shared, flights: &Receiver<Flight>) {
    for flight in flights {
        match flight.opened.file.sync() {
            Ok(()) => land(shared, flight),
            Err(error) => {
                // Never again: after a failed sync the kernel may have dropped the bytes and say yes.
                tracing::error!(error = %error.chain(), "cannot sync the log");
                shared.queue.fail(&error.chain());
                flight.refuse(&StoreError::Failed(error.chain().into()));
            }
        }
    }
}

fn land(shared: &Shared, flight: Flight) {
    flight.opened.push_block(flight.block, &flight.nodes);
    let mut durable = flight.stream.durable();
    durable.frontier = flight.frontier;
    durable.tables.apply(&flight.rows);
    drop(durable);
    let records = flight.commit.entries.len() as u64;
    shared.ring.push(flight.commit);
    for (answer, place, _room) in flight.answers {
        let _gone = answer.send(Ok(place));
    }
    shared.queue.set_syncing(false);
    shared.pending.count(records);
}
