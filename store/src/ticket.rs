//! The promise of an answer to an append, for async code and for threads.

use crate::error::StoreError;
use custos_event::Committed;
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};
use tokio::sync::oneshot;

/// An append that has its place in the order. Await it, or [`Ticket::wait`] for it, to know that it is durable.
#[derive(Debug)]
#[must_use = "an append is durable only when its ticket says so"]
pub struct Ticket(oneshot::Receiver<Result<Committed, StoreError>>);

impl Ticket {
    pub(crate) fn new(answered: oneshot::Receiver<Result<Committed, StoreError>>) -> Self {
        Self(answered)
    }

    /// Blocks the thread until the append is durable or refused.
    pub fn wait(self) -> Result<Committed, StoreError> {
        block_on(self)
    }
}

impl Future for Ticket {
    type Output = Result<Committed, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(cx);
        answer.map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, parked in between; it needs no runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park();
    }
}
