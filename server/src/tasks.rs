//! Everything that runs beside the main path: the first task to end stops all the others, and a panic is
//! told by the task's name.

use anyhow::{Context as _, anyhow};
use std::{future::Future, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// Grace for the tasks to finish what they hold once a stop was asked for. A commit takes milliseconds, the
/// index commits within a second; the promise is an end within 10 s.
const DRAIN_SECS_MAX: u64 = 8;

/// The running tasks of one process.
pub(crate) struct Tasks {
    set: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { set: JoinSet::new(), stop: CancellationToken::new() }
    }

    /// Turns to cancelled when every task is to end.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.set.spawn(async move { (name, task.await) });
    }

    /// A task on a thread of its own, for what blocks or computes.
    pub(crate) fn spawn_thread(
        &mut self,
        name: &'static str,
        task: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) {
        self.set.spawn(async move {
            let (done, ended) = tokio::sync::oneshot::channel();
            let thread = std::thread::Builder::new().name(name.into());
            let started = thread.spawn(move || done.send(task()).is_ok());
            let result = match started {
                Err(error) => Err(anyhow!(error).context("cannot start a thread")),
                Ok(thread) => match ended.await {
                    Ok(result) => result,
                    Err(_) => Err(panic_of(thread.join())),
                },
            };
            (name, result)
        });
    }

    /// Runs until a stop is asked for or a task ends; then stops the others and waits for them.
    pub(crate) async fn run(
        mut self,
        stop_asked: impl Future<Output = &'static str>,
    ) -> anyhow::Result<()> {
        let first = tokio::select! {
            why = stop_asked => {
                info!(why, "stopping");
                Ok(())
            }
            Some(ended) = self.set.join_next() => named(ended),
        };
        self.stop.cancel();
        let drained = tokio::time::timeout(Duration::from_secs(DRAIN_SECS_MAX), async {
            let mut rest = Ok(());
            while let Some(ended) = self.set.join_next().await {
                let ended = named(ended);
                if let Err(error) = &ended {
                    error!(error = format!("{error:#}"), "a task failed");
                }
                rest = rest.and(ended);
            }
            rest
        });
        match drained.await {
            Ok(rest) => first.and(rest),
            Err(_) => first.and(Err(anyhow!("a task did not stop within {DRAIN_SECS_MAX} s"))),
        }
    }
}

fn named(
    ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>,
) -> anyhow::Result<()> {
    let (name, result) = ended.context("a task was lost")?;
    result.with_context(|| format!("task '{name}' failed"))
}

fn panic_of<T>(joined: std::thread::Result<T>) -> anyhow::Error {
    let Err(panic) = joined else { return anyhow!("ended without a result") };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    anyhow!("panicked: {}", text.as_deref().unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_task_to_fail_stops_the_others_and_is_named() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop();
        tasks.spawn("waits", async move {
            stop.cancelled().await;
            Ok(())
        });
        tasks.spawn_thread("fails", || Err(anyhow!("disk on fire")));
        let error = tasks.run(std::future::pending()).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "task 'fails' failed: disk on fire");
    }

    #[tokio::test]
    async fn a_panic_is_told_by_the_tasks_name() {
        let mut tasks = Tasks::new();
        tasks.spawn_thread("shaky", || panic!("index 7"));
        let error = tasks.run(std::future::pending()).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "task 'shaky' failed: panicked: index 7");
    }

    #[tokio::test]
    async fn a_stop_that_was_asked_for_ends_well() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop();
        tasks.spawn("waits", async move {
            stop.cancelled().await;
            Ok(())
        });
        tasks.run(std::future::ready("SIGTERM")).await.unwrap();
    }
}
