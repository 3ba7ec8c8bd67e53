//! A node in the test's process, with real workers.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, stream::BoxStream};
use hearth_domain::{FinishReason, Message, Priority, Role, RunId, Sampling, Task, TextTask, Usage};
use hearth_node::{Node, NodeConfig};
use hearth_tests::{backend_results, binary, copy_with_context, eventually, within};
use hearth_wire::{ApiError, RunEvent, RunEventBody, node::NodeRun, runtime_status::RuntimeStatus};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{LONG_CONTEXT_TOKENS, LONG_MODEL, LONG_RUN_TOKENS};

/// A node with [`LONG_MODEL`], which is loaded at its first run, and without a default model.
pub(crate) struct InProcessNode {
    pub(crate) node: Node,
    ended: JoinHandle<()>,
    /// Deleted when the node is dropped.
    _folder: TempDir,
}

impl InProcessNode {
    /// Starts a node with settings that `change` has edited.
    pub(crate) async fn start(change: impl FnOnce(&mut NodeConfig)) -> Self {
        Self::start_in(TempDir::new().unwrap(), change)
    }

    /// The same in an existing folder.
    pub(crate) fn start_in(folder: TempDir, change: impl FnOnce(&mut NodeConfig)) -> Self {
        copy_with_context(
            &folder.path().join("models/long.gguf"),
            u32::try_from(LONG_CONTEXT_TOKENS).unwrap(),
        );
        let mut config = NodeConfig::new(folder.path().join("models"), binary("hearth"));
        config.settings.context_length = Some(u32::try_from(LONG_CONTEXT_TOKENS).unwrap());
        config.settings.slots = 2;
        config.backends.cache = backend_results();
        change(&mut config);
        let (node, ended) = Node::start(config);
        Self { node, ended, _folder: folder }
    }

    /// Starts a run of [`LONG_MODEL`].
    pub(crate) async fn run(&self, task: impl Into<Task>) -> Run {
        self.run_with(task, Priority::Normal).await
    }

    /// The same, with a priority.
    pub(crate) async fn run_with(&self, task: impl Into<Task>, priority: Priority) -> Run {
        self.submit(LONG_MODEL, task, priority).await.unwrap()
    }

    /// Starts a run.
    ///
    /// # Errors
    /// If the node refuses it.
    pub(crate) async fn submit(
        &self,
        model: &str,
        task: impl Into<Task>,
        priority: Priority,
    ) -> Result<Run, ApiError> {
        let (run, model) = (RunId::new(), model.to_owned());
        let request = NodeRun { run, model, task: task.into(), priority, whole: false, detached: false };
        let log = self.node.submit(request).await?;
        let events = log.read(0).unwrap().map(|event| serde_json::from_str::<RunEvent>(&event.json).unwrap());
        Ok(Run { id: run, events: events.boxed() })
    }

    /// Cancels a run. Returns whether the node had it.
    pub(crate) async fn cancel(&self, run: &Run) -> bool {
        self.node.cancel(run.id).await.unwrap()
    }

    /// A model's runtime status.
    pub(crate) async fn runtime_status(&self, model: &str) -> RuntimeStatus {
        let status = self.node.status().await.unwrap();
        status.models.into_iter().find(|listed| listed.id == model).unwrap().runtime
    }

    /// The id of the process that has the model, or loads it.
    pub(crate) async fn worker(&self, model: &str) -> u32 {
        eventually("a worker", async || self.runtime_status(model).await.pid).await
    }

    /// Asserts that the node answers a short question.
    pub(crate) async fn assert_answers(&self) {
        let answer = self.run(short_task()).await.answer().await;
        assert!(answer.text(0).contains("Paris"), "{answer:?}");
    }

    /// Stops the node and its workers.
    pub(crate) async fn stop(self) {
        self.node.shut_down();
        within("the node's end", self.ended).await.unwrap();
    }
}

/// A run and its events.
pub(crate) struct Run {
    pub(crate) id: RunId,
    events: BoxStream<'static, RunEvent>,
}

impl Run {
    /// Its next event; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<RunEventBody> {
        within("an event of the run", self.events.next()).await.map(|event| event.body)
    }

    /// Reads on to a wanted event and returns it.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&RunEventBody) -> bool) -> RunEventBody {
        let mut passed = Vec::new();
        while let Some(event) = self.next().await {
            if wanted(&event) {
                return event;
            }
            passed.push(event);
        }
        panic!("the run ended before: {passed:?}");
    }

    /// Reads on to its first text.
    pub(crate) async fn until_text(&mut self) -> RunEventBody {
        self.until(|event| matches!(event, RunEventBody::Delta { .. })).await
    }

    /// Reads on until it has a slot.
    pub(crate) async fn until_started(&mut self) -> RunEventBody {
        self.until(|event| matches!(event, RunEventBody::Started { .. })).await
    }

    /// Reads all other events.
    pub(crate) async fn rest(mut self) -> Vec<RunEventBody> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// Reads the run to its end, which must be `done`.
    pub(crate) async fn answer(self) -> Answer {
        let events = self.rest().await;
        let Some(RunEventBody::Done { finish_reason }) = events.last() else {
            panic!("the run didn't end by itself: {events:?}")
        };
        Answer { finish_reason: *finish_reason, events }
    }

    /// Reads the run to its end, which must be an error.
    pub(crate) async fn error(self) -> ApiError {
        let events = self.rest().await;
        match events.last() {
            Some(RunEventBody::Error { error }) => error.clone(),
            _ => panic!("the run didn't fail: {events:?}"),
        }
    }
}

/// A run that ended by itself.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) finish_reason: FinishReason,
    pub(crate) events: Vec<RunEventBody>,
}

impl Answer {
    /// The text of the answer with this index.
    pub(crate) fn text(&self, index: u32) -> String {
        let texts = self.events.iter().map(|event| match event {
            RunEventBody::Delta { choice, text, .. } if *choice == index => text.as_str(),
            _ => "",
        });
        texts.collect()
    }

    /// The run's usage, which must be reported once.
    pub(crate) fn usage(&self) -> Usage {
        let usages = self.events.iter().filter_map(|event| match event {
            RunEventBody::Usage { usage } => Some(*usage),
            _ => None,
        });
        let usages: Vec<Usage> = usages.collect();
        assert_eq!(usages.len(), 1, "{:?}", self.events);
        usages[0]
    }

    /// The reported positions in the queue.
    pub(crate) fn positions(&self) -> Vec<u32> {
        let positions = self.events.iter().filter_map(|event| match event {
            RunEventBody::Queued { position } => Some(*position),
            _ => None,
        });
        positions.collect()
    }

    /// The tool calls of the first answer: the tool's name, and the text of the arguments.
    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        let mut calls: Vec<(String, String)> = Vec::new();
        let mut ids = HashMap::new();
        for event in &self.events {
            let RunEventBody::ToolCall { choice: 0, index, begins, arguments } = event else { continue };
            if let Some(begins) = begins {
                assert_eq!(*index as usize, calls.len(), "calls are numbered from 0: {:?}", self.events);
                assert_eq!(ids.insert(begins.id.clone(), *index), None, "two calls have the same id");
                calls.push((begins.name.clone(), String::new()));
            }
            calls[*index as usize].1.push_str(arguments);
        }
        calls
    }
}

/// A task with one message of the user.
pub(crate) fn user_task(text: &str, sampling: Sampling) -> TextTask {
    TextTask::new(vec![Message::new(Role::User, text)], sampling)
}

/// Sampling at temperature 0.
pub(crate) fn greedy() -> Sampling {
    Sampling { temperature: Some(0.0), ..Sampling::default() }
}

/// A task with a short answer.
pub(crate) fn short_task() -> TextTask {
    user_task("What is the capital of France?", greedy())
}

/// A task that generates until it is cancelled.
pub(crate) fn endless_task() -> TextTask {
    let max_tokens = u32::try_from(LONG_RUN_TOKENS).ok();
    user_task("Tell me a story.", Sampling { ignore_eos: true, max_tokens, ..Sampling::default() })
}

/// A task with a prompt of more than `tokens` tokens and a short answer: each digit is a token.
pub(crate) fn long_prompt_task(tokens: usize) -> TextTask {
    user_task(&"7".repeat(tokens), Sampling { max_tokens: Some(3), ignore_eos: true, ..greedy() })
}

/// An executable for workers that wait until the gate opens.
pub(crate) struct Gate {
    script: PathBuf,
    /// Opened for reading too, so that opening it doesn't wait for a worker.
    fifo: File,
}

impl Gate {
    /// Creates a gate in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let fifo = folder.join("gate");
        let status = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(status.success());
        let wait =
            format!("read -r line < '{}'\nexec '{}' \"$@\"", fifo.display(), binary("hearth").display());
        let script = script(folder, &wait);
        Self { script, fifo: OpenOptions::new().read(true).write(true).open(fifo).unwrap() }
    }

    /// The executable of the workers.
    pub(crate) fn executable(&self) -> PathBuf {
        self.script.clone()
    }

    /// Lets one worker start.
    pub(crate) fn open(&mut self) {
        self.fifo.write_all(b"\n").unwrap();
    }
}

/// Writes an executable of shell commands.
pub(crate) fn script(folder: &Path, commands: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    fs::write(&path, format!("#!/bin/sh\n{commands}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
