//! The HTTP server: accepts connections up to a limit, and can be stopped in order.

mod connection;
mod descriptors;
mod limits;
mod stream;
mod table;
mod threads;

use std::{io, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result};
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
use threads::ServingThreads;

/// How long open requests may take to end when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
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
    threads: Arc<ServingThreads>,
}

/// Serves `router` on `listener`, within the limits of `settings` and of the process' file descriptors. The current
/// runtime accepts the connections; threads of their own serve them.
pub(crate) fn start(listener: TcpListener, router: Router, settings: &ServerSettings) -> Result<Server> {
    let cores = || thread::available_parallelism().map_or(1, Into::into);
    let threads = ServingThreads::start(settings.threads.unwrap_or_else(cores));
    let threads = Arc::new(threads.context("the threads that serve connections can't be started")?);
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
        threads: Arc::clone(&threads),
    };
    Ok(Server { stop, task: tokio::spawn(acceptor.run(listener)), threads })
}

impl Server {
    /// Accepts no more connections, and waits a while for the requests that are open. The threads go on until what is
    /// returned is dropped: runs that outlive their connections, and records that are being written, are there too.
    pub(crate) async fn stop(self) -> Arc<ServingThreads> {
        self.stop.send_replace(true);
        if tokio::time::timeout(DRAIN_TIMEOUT, self.task).await.is_err() {
            tracing::warn!("connections were still open at the end");
        }
        self.threads
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
    threads: Arc<ServingThreads>,
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
        if let Some(entry) = self.table.enter() {
            let connection = Connection {
                state: entry.state(),
                router: self.router.clone(),
                limits: self.limits,
                keep_alive: true,
            };
            self.serve(socket, connection, entry);
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
        self.serve(socket, connection, permit);
    }

    /// Serves a connection on the thread whose turn it is; `guard` is dropped at its end.
    fn serve(&self, socket: TcpStream, connection: Connection, guard: impl Send + 'static) {
        let (runtime, place) = self.threads.place();
        let stopped = self.stopped.clone();
        let serve = async move {
            // From the runtime that accepted it to the one that serves it.
            match socket.into_std().and_then(TcpStream::from_std) {
                Ok(socket) => connection.serve(socket, stopped).await,
                Err(error) => tracing::warn!(%error, "a connection can't be served"),
            }
            drop((guard, place));
        };
        self.tasks.spawn_on(serve, runtime);
    }
}

/// Whether the client was gone before its connection was accepted, which says nothing of the next one.
fn ended_early(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
