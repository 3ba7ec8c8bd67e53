//! A server that can be stopped.

use std::time::Duration;

use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// How long open connections may take to end.
const DRAIN: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Serves `router` on `listener`. A token is small: packets don't wait to be filled.
pub(crate) fn start(listener: TcpListener, router: Router) -> Server {
    let (stop, stopped) = oneshot::channel();
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    let task = tokio::spawn(async move {
        let server = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        if let Err(error) = server.await {
            tracing::error!(%error, "a server failed");
        }
    });
    Server { stop, task }
}

impl Server {
    /// Takes no more connections, and waits a while for those that are open.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(DRAIN, self.task).await.is_err() {
            tracing::warn!("connections were still open at the end");
        }
    }
}
