//! The connectors to customer systems, each on a thread of its own.

use crate::{
    clock::SystemClock,
    config::{Sources, crm::Crm},
    exit::Failure,
    folder::Opened,
    pipeline::intake::StoreIntake,
    serve::decoders,
    tasks::Tasks,
};
use anyhow::anyhow;
use custos_ingest::{
    Gate,
    crm::{Puller, WebConfig, contacts_name},
    decode::SourceType,
    health::Health,
};
use custos_respond::{effect::agent_config, limits::not_outside};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// A request may take minutes, and waits for somebody else; nothing of it counts before its rows are stored.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) fn start(
    config: &Crm,
    intake: &StoreIntake,
    opened: &Opened,
    health: &Arc<Health>,
    tasks: &mut Tasks,
) -> Result<(), Failure> {
    let names = [config.name.clone(), contacts_name(&config.name)];
    let types = Sources::new(names.map(|name| (name, SourceType::Crm)).into());
    let decoders = decoders(opened, types)?;
    let gate = Gate::new(Arc::new(intake.clone()), decoders, Arc::new(SystemClock));
    let agent = agent_config(config.is_https()).map_err(|why| Failure::usage(anyhow!(why)))?;
    let web = WebConfig { agent, not_outside };
    let pull = config.open().map_err(Failure::usage)?;
    let puller = Puller::new(pull, gate, Arc::clone(health), &web);
    let stop = tasks.stop();
    tasks.spawn("crm", async move {
        let asked = stop.clone();
        let mut reading = tokio::task::spawn_blocking(move || puller.run(&asked));
        tokio::select! {
            ended = &mut reading => Ok(ended??),
            () = stop.cancelled() => {
                // A request that is under way cannot be broken off: it is left to itself.
                timeout(GRACE, reading).await.map_or(Ok(()), |ended| Ok(ended??))
            }
        }
    });
    Ok(())
}
