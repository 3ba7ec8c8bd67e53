//! Work that no response waits for.
//!
//! `hearth up` serves connections on threads with a current-thread runtime each, so that a request is answered without a
//! change of threads. A task that such a request spawns shares its thread with other requests. Background work, such as
//! reading a provider's list of models again, is spawned here instead, on the runtime with several threads. Threads of
//! other programs, such as a Lambda function's, have one runtime for everything.
//!
//! A Lambda function is frozen when its response is complete. [`Background`] is the one place that knows: it spawns the
//! work, or has the response wait for it.

use std::cell::OnceCell;

use tokio::{runtime::Handle, task::JoinHandle};

thread_local! {
    static BACKGROUND: OnceCell<Handle> = const { OnceCell::new() };
}

/// Makes `runtime` the background runtime of the current thread. A second call changes nothing.
pub fn assign(runtime: Handle) {
    BACKGROUND.with(|background| drop(background.set(runtime)));
}

/// The background runtime, if the current thread has one beside its own.
#[must_use]
pub fn runtime() -> Option<Handle> {
    BACKGROUND.with(|background| background.get().cloned())
}

/// Spawns a task on the background runtime, or on the thread's own where that is the only one.
///
/// # Panics
/// Outside of a runtime, as `tokio::spawn` does.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match runtime() {
        Some(runtime) => runtime.spawn(task),
        None => tokio::spawn(task),
    }
}

/// Runs work that may end after the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Background {
    outlives_response: bool,
}

impl Background {
    /// `outlives_response`: the process runs on after a response, rather than being frozen.
    pub(crate) fn new(outlives_response: bool) -> Self {
        Self { outlives_response }
    }

    /// True if the process runs on after a response.
    pub(crate) fn outlives_response(self) -> bool {
        self.outlives_response
    }

    /// Spawns `work`; where the process would be frozen before its end, waits for it instead.
    pub(crate) async fn spawn_or_wait(self, work: impl Future<Output = ()> + Send + 'static) {
        if self.outlives_response {
            drop(spawn(work));
        } else {
            work.await;
        }
    }

    /// Waits for work that is spawned already, where the process would be frozen before its end.
    pub(crate) async fn wait_if_frozen(self, spawned: impl Future<Output = ()>) {
        if !self.outlives_response {
            spawned.await;
        }
    }

    /// Spawns `work`; where the process would be frozen before its end, drops it. For work that another process does too.
    pub(crate) fn spawn_or_skip(self, work: impl Future<Output = ()> + Send + 'static) {
        if self.outlives_response {
            drop(spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;

    #[test]
    fn task_of_a_serving_thread_outlives_its_runtime() {
        let background = tokio::runtime::Runtime::new().unwrap();
        let handle = background.handle().clone();
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let task = thread::spawn(move || {
            assign(handle);
            let serving = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _entered = serving.enter();
            spawn(finished)
        });
        let task = task.join().unwrap();
        finish.send(()).unwrap();
        background.block_on(task).unwrap().unwrap();
    }

    #[tokio::test]
    async fn work_is_complete_before_a_process_is_frozen() {
        for outlives_response in [true, false] {
            let background = Background::new(outlives_response);
            let (done, skipped) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
            let set = |flag: &Arc<AtomicBool>| {
                let flag = Arc::clone(flag);
                async move { flag.store(true, Ordering::SeqCst) }
            };
            background.spawn_or_wait(set(&done)).await;
            assert_eq!(done.load(Ordering::SeqCst), !outlives_response);
            background.spawn_or_skip(set(&skipped));
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            assert!(done.load(Ordering::SeqCst));
            assert_eq!(skipped.load(Ordering::SeqCst), outlives_response);
        }
    }
}
