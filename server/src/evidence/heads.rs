//! The signed head of each log: what `custos log checkpoint` prints, here or from a server.

use custos_evidence::hex;
use custos_store::{Checkpoint, Store, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct SignedHead {
    log: String,
    size: u64,
    /// In hex.
    root: String,
    /// The signed note: what a witness keeps, and `custos log verify --checkpoint` reads.
    pub(crate) note: String,
}

/// Signs the head of each log as it is now.
pub(crate) fn sign(store: &Store) -> Result<Vec<SignedHead>, StoreError> {
    let signed = |head: Checkpoint| {
        let log = head.log().to_owned();
        SignedHead { log, size: head.size, root: hex(&head.root), note: head.note }
    };
    Ok(store.checkpoint()?.into_iter().map(signed).collect())
}
