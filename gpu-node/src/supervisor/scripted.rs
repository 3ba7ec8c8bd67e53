//! A node without workers, whose runs a test carries out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hearth_domain::{Modality, RunId};
use hearth_settings::NodeSettings;
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    node::{NodeRun, NodeStatus},
};
use tokio::sync::mpsc;

use super::{Node, RunLog, Waker, message::Message};

/// A node whose runs a test carries out.
#[derive(Debug)]
pub(crate) struct ScriptedNode {
    pub(crate) node: Node,
    submitted: mpsc::UnboundedReceiver<Arc<RunLog>>,
    script: Arc<Mutex<Script>>,
}

/// The state of a scripted node.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) status: NodeStatus,
    /// The error of every run that is submitted.
    pub(crate) refusal: Option<ApiError>,
    pub(crate) logs: HashMap<RunId, Arc<RunLog>>,
    /// The models that were to be loaded.
    pub(crate) loads: Vec<String>,
}

impl ScriptedNode {
    pub(crate) fn start() -> Self {
        let (inbox, mut messages) = mpsc::channel(super::INBOX_MAX_COUNT);
        let (submit, submitted) = mpsc::unbounded_channel();
        let script = Arc::new(Mutex::new(Script::default()));
        let own = Arc::clone(&script);
        tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                if !handle(&own, &submit, message) {
                    return;
                }
            }
        });
        let config = crate::NodeConfig::new("no-such-folder".into(), "no-such-file".into());
        let downloads = crate::downloads::Downloads::start(config.downloads);
        Self {
            node: Node { inbox, waker: Waker::new(&NodeSettings::default()), downloads },
            submitted,
            script,
        }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    /// Waits for the next run, and returns its log.
    pub(crate) async fn submitted(&mut self) -> Arc<RunLog> {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), self.submitted.recv()).await;
        waited.expect("no run was submitted").unwrap()
    }

    /// Returns whether no further run was submitted.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.submitted.try_recv().is_err()
    }
}

/// Handles a message. Returns false after the last one.
fn handle(script: &Mutex<Script>, submit: &mpsc::UnboundedSender<Arc<RunLog>>, message: Message) -> bool {
    let mut script = lock(script);
    match message {
        Message::Submit { run, reply, .. } => {
            let _ = reply.send(script.submit(&run, submit));
        }
        Message::Log { run, reply } => {
            let _ = reply.send(script.logs.get(&run).cloned());
        }
        Message::Cancel { run, reply } => {
            let log = script.logs.get(&run).filter(|log| !log.has_ended());
            log.inspect(|log| log.push(RunEventBody::Cancelled));
            let _ = reply.send(log.is_some());
        }
        Message::Load { model, reply } => {
            script.loads.push(model);
            let _ = reply.send(Ok(()));
        }
        Message::Status(reply) => {
            let _ = reply.send(script.status.clone());
        }
        Message::ShutDown => {
            let error = ApiError::new(ErrorCode::NodeLost, "the node is shutting down");
            script.logs.values().for_each(|log| log.push(RunEventBody::Error { error: error.clone() }));
            return false;
        }
        _ => {}
    }
    true
}

impl Script {
    fn submit(
        &mut self,
        run: &NodeRun,
        submit: &mpsc::UnboundedSender<Arc<RunLog>>,
    ) -> Result<Arc<RunLog>, ApiError> {
        if let Some(error) = &self.refusal {
            return Err(error.clone());
        }
        if self.logs.get(&run.run).is_some_and(|log| !log.has_failed()) {
            return Err(ApiError::new(ErrorCode::Conflict, "a run with this id exists"));
        }
        let log = RunLog::new(run.run, Modality::Text);
        self.logs.insert(run.run, Arc::clone(&log));
        let _ = submit.send(Arc::clone(&log));
        Ok(log)
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}
