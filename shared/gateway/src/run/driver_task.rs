//! The task that a run's driver works in.
//!
//! While a request waits for the whole answer, the driver is polled in the request's task: no event crosses threads. If the
//! request is dropped, or reads the answer piece by piece, the driver goes on in a task of its own.

use std::{fmt, future::pending, panic::AssertUnwindSafe};

use futures::{FutureExt as _, future::BoxFuture};
use hearth_wire::ApiError;
use tokio::runtime::Handle;

use super::errors::driver_died;
use crate::in_place::pin_in_place;

/// A driver at work. When this is dropped, the driver goes on in a task of its own.
pub(crate) struct DriverTask(Option<BoxFuture<'static, ()>>);

impl DriverTask {
    /// A task for the driver that `create` returns. It ends when its run is complete.
    pub(crate) fn new<D: Future<Output = ()> + Send + 'static>(create: impl FnOnce() -> D) -> Self {
        // A panic ends this driver, and not the task that waits for it.
        let driver = pin_in_place(|| {
            AssertUnwindSafe(create()).catch_unwind().map(|ended| {
                if ended.is_err() {
                    tracing::error!("a run's driver has panicked");
                }
            })
        });
        Self(Some(driver))
    }

    /// A task without a driver, for a run whose events are complete.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Polls the driver in the caller's task. Never returns, so its type fits every `select!`: there the branch
    /// `never = driver.work() => never` drives the run while another branch is awaited.
    pub(crate) async fn work<T>(&mut self) -> T {
        if let Some(driver) = &mut self.0 {
            driver.await;
            self.0 = None;
        }
        pending().await
    }

    /// Moves the driver into a task of its own.
    pub(crate) fn detach(&mut self) {
        if let (Some(driver), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(driver);
        }
    }
}

/// The result of the driver's `work`. A panic becomes an error: the run ends, its client gets the error, and it is
/// recorded as failed. The panic itself is in the log.
pub(crate) async fn catch_panic(work: impl Future<Output = Result<(), ApiError>>) -> Result<(), ApiError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(driver_died()))
}

impl Drop for DriverTask {
    fn drop(&mut self) {
        self.detach();
    }
}

impl fmt::Debug for DriverTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DriverTask").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn panic_of_the_driver_is_an_error() {
        let error = catch_panic(async { panic!("a decoder panics") }).await.unwrap_err();
        assert_eq!(error.code, hearth_wire::ErrorCode::Internal);
        assert_eq!(catch_panic(async { Ok(()) }).await, Ok(()));
    }

    #[tokio::test]
    async fn driver_works_in_the_callers_task_and_then_in_its_own() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut task = DriverTask::new(|| async move {
            for number in 0..3 {
                tokio::task::yield_now().await;
                let _ = sender.send(number);
            }
        });
        assert!(receiver.try_recv().is_err());
        let first = tokio::select! { first = receiver.recv() => first, never = task.work() => never };
        assert_eq!(first, Some(0));
        drop(task);
        assert_eq!(
            (receiver.recv().await, receiver.recv().await, receiver.recv().await),
            (Some(1), Some(2), None)
        );
    }
}
