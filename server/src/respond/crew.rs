//! Effects on threads of their own, a bounded number at once, so that one slow peer holds up no other.

use anyhow::Context as _;
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};
use tracing::error;

/// Effects under way at once. Each waits for a peer, not for a core.
const RUNNING_MAX: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    changed: Condvar,
}

/// Who carries effects out. What waits is bounded by the desk: one intent a step.
#[derive(Default)]
pub(crate) struct Crew {
    waiting: VecDeque<Job>,
    running: Arc<Running>,
}

impl Crew {
    pub(crate) fn add(&mut self, job: impl FnOnce() + Send + 'static) {
        self.waiting.push_back(Box::new(job));
    }

    /// Begins as many of the waiting jobs as there are free hands.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        while let Some(job) = self.next() {
            let running = Arc::clone(&self.running);
            let work = move || {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                if done.is_err() {
                    error!("an effect panicked; its step has no result until the next start");
                }
                *running.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
                running.changed.notify_all();
            };
            let thread = std::thread::Builder::new().name("effect".into());
            thread.spawn(work).context("cannot start a thread for an effect")?;
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Job> {
        let mut count = self.running.count.lock().unwrap_or_else(PoisonError::into_inner);
        if *count >= RUNNING_MAX {
            return None;
        }
        let job = self.waiting.pop_front()?;
        *count += 1;
        Some(job)
    }

    /// Waits until what is under way has ended, or gives it up: it is recovered at the next start.
    pub(crate) fn drain(&self, limit: Duration) {
        let count = self.running.count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.running.changed.wait_timeout_while(count, limit, |count| *count > 0));
    }
}
