//! The HTTP server: accepts connections up to a limit, and can be stopped in order.

mod connection;
mod descriptors;
mod limits;
mod stream;
mod table;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::task::TaskTracker;

pub(crate) use descriptors::raise_descriptor_limit;
pub(crate) use limits::ServerSettings;

use connection::Connection;
use limits::Limits;
use table::Table;

/// How long open requests may take to end when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after the system refused a connection: it has no file descriptor left, and says so at once.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How often that is logged.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Connections above the limit that are answered 503 at once; more are closed without an answer.
const OVERFLOW_MAX_COUNT: usize = 64;
/// How long such a connection may take to send its request.
const OVERFLOW_HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves `router` on `listener`, within the limits of `settings` and of the process' file descriptors.
pub(crate) fn start(listener: TcpListener, router: Router, settings: &ServerSettings) -> Server {
    let (stop, stopped) = watch::channel(false);
    let limits = settings.limits(descriptors::descriptor_limit());
    let acceptor = Acceptor {
        overflow_router: hearth_http::serve::overloaded(router.clone()),
        router,
        limits,
        table: Arc::new(Table::new(limits.connections)),
        overflow: Arc::new(Semaphore::new(OVERFLOW_MAX_COUNT)),
        stopped,
        tasks: TaskTracker::new(),
    };
    Server { stop, task: tokio::spawn(acceptor.run(listener)) }
}

impl Server {
    /// Accepts no more connections, and waits a while for the requests that are open.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(DRAIN_TIMEOUT, self.task).await.is_err() {
            tracing::warn!("connections were still open at the end");
        }
    }
}

struct Acceptor {
    router: Router,
    /// Answers `/health`, and 503 to everything else.
    overflow_router: Router,
    limits: Limits,
    table: Arc<Table>,
    overflow: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
    tasks: TaskTracker,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        let mut logged: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => self.admit(socket),
                Err(error) if ended_early(&error) => {}
                Err(error) => {
                    if logged.is_none_or(|at| at.elapsed() >= ACCEPT_LOG_INTERVAL) {
                        logged = Some(Instant::now());
                        tracing::error!(%error, "connections can't be accepted");
                    }
                    self.table.close_longest_idle();
                    tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                }
            }
        }
        drop(listener);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Serves a new connection. At the limit the one that has been idle for longest makes room; if all are busy, the
    /// new one is told so.
    fn admit(&self, socket: TcpStream) {
        // A token is small: packets don't wait to be filled.
        let _ = socket.set_nodelay(true);
        let stopped = self.stopped.clone();
        if let Some(entry) = self.table.enter() {
            let connection = Connection {
                state: entry.state(),
                router: self.router.clone(),
                limits: self.limits,
                keep_alive: true,
            };
            self.tasks.spawn(async move {
                connection.serve(socket, stopped).await;
                drop(entry);
            });
            return;
        }
        metrics::counter!("hearth_connections_refused_total").increment(1);
        let Ok(permit) = Arc::clone(&self.overflow).try_acquire_owned() else { return };
        let connection = Connection {
            state: Arc::default(),
            router: self.overflow_router.clone(),
            limits: Limits { head: OVERFLOW_HEAD_TIMEOUT.min(self.limits.head), ..self.limits },
            keep_alive: false,
        };
        self.tasks.spawn(async move {
            connection.serve(socket, stopped).await;
            drop(permit);
        });
    }
}

/// Whether the client was gone before its connection was accepted, which says nothing of the next one.
fn ended_early(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
