//! A verification of all logs beside the running server: one at a time, watched, and a fact when it has ended.

use crate::{
    cli::fault_lines,
    respond::{Command, Desk},
};
use custos_event::{Actor, Clock, Timestamp};
use custos_store::{Progress, VerifyOptions, verify_watched};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// Findings that the fact names; `custos log verify` tells all.
const FAULTS_MAX: usize = 100;

/// Starts verifications, and knows how far one is.
#[derive(Clone)]
pub(crate) struct Verifier(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    desk: Desk,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    running: Mutex<Option<Running>>,
}

/// One that is under way.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) at: Timestamp,
    pub(crate) by: Actor,
    pub(crate) progress: Arc<Progress>,
}

impl Verifier {
    pub(crate) fn new(
        folder: PathBuf,
        desk: Desk,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner { folder, desk, clock, stop, running: Mutex::new(None) }))
    }

    pub(crate) fn running(&self) -> Option<Running> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one on a blocking thread; false where one is under way.
    pub(crate) fn start(&self, by: &Actor) -> bool {
        let mut running = self.lock();
        if running.is_some() {
            return false;
        }
        let progress = Arc::new(Progress::default());
        let (at, watched) = (self.0.clock.now(), Arc::clone(&progress));
        *running = Some(Running { at, by: by.clone(), progress });
        drop(running);
        let (this, by) = (self.clone(), by.clone());
        tokio::task::spawn_blocking(move || {
            this.run(&by, &watched);
            *this.lock() = None;
        });
        true
    }

    /// Ends what is under way: called when the server is to end.
    pub(crate) async fn end_with_server(self) -> anyhow::Result<()> {
        self.0.stop.cancelled().await;
        if let Some(running) = self.running() {
            running.progress.stop();
        }
        Ok(())
    }

    fn run(&self, by: &Actor, progress: &Progress) {
        let reports = match verify_watched(&self.0.folder, &VerifyOptions::default(), progress) {
            Ok(reports) => reports,
            Err(error) => return error!(%error, "the logs could not be verified"),
        };
        let records = reports.iter().map(|report| report.records).sum();
        let mut faults = Vec::new();
        for report in &reports {
            let lines = fault_lines(report).into_iter();
            faults.extend(lines.map(|line| format!("{}: {line}", report.log)));
        }
        match faults.first() {
            None => info!(records, "the logs are whole"),
            Some(first) => error!(faults = faults.len(), first, "the logs are not whole"),
        }
        faults.truncate(FAULTS_MAX);
        let command = Command::RecordVerification { records, faults };
        if let Err(error) = self.0.desk.command(by, None, command) {
            error!(%error, "a verification could not be recorded");
        }
    }
}
