//! The runtime of work that belongs to no connection.
//!
//! `hearth up` serves connections on threads with a current-thread runtime each, so that a request is answered without a
//! change of threads. A task that such a request spawns shares its thread with other requests. What the request doesn't
//! wait for, such as a provider's list of models being read anew, is spawned here instead, on the runtime with several
//! threads. Threads of other programs, such as a Lambda function's, have one runtime for everything.

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

#[cfg(test)]
mod tests {
    use std::thread;

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
}
