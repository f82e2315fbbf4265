//! Hands the queued batches to the store, one append after the other.

use super::{ledger::Ledger, refusal::Refusal};
use crate::batch::{Intake, IntakeError};
use kafka_protocol::ResponseError;
use std::sync::Arc;

/// Runs until the ledger is closed and empty, or the store has failed.
pub(crate) async fn run<I: Intake>(ledger: &Ledger, intake: &I) -> Result<(), Arc<str>> {
    while let Some((batch, tickets)) = ledger.next_append(|source| intake.log_of(source)).await {
        match intake.submit(batch).await {
            Ok(_) => ledger.settle(tickets),
            Err(IntakeError::Paused(reason)) => {
                // Clients wait and try again on this one, for as long as they are configured to.
                let code = ResponseError::NotEnoughReplicas;
                tracing::warn!(%reason, batches = tickets.len(), "intake is paused, batches refused");
                ledger.refuse(tickets, &Refusal::new(code, format!("intake is paused: {reason}")));
            }
            Err(IntakeError::Failed(reason)) => {
                let text = format!("the store failed: {reason}");
                let refusal = Refusal::new(ResponseError::KafkaStorageError, text);
                ledger.close(refusal.clone());
                ledger.refuse(tickets, &refusal);
                return Err(reason);
            }
        }
    }
    Ok(())
}
