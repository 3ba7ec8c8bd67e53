//! A node in this process, with real workers.

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
use hearth_wire::{ApiError, RunEvent, RunEventBody, native::models::RuntimeStatus, node::NodeRun};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{CONTEXT, LONG, MANY};

/// A node with the model [`LONG`], which isn't loaded before somebody asks it, and no default.
pub(crate) struct Inside {
    pub(crate) node: Node,
    ended: JoinHandle<()>,
    /// Deleted with it.
    _folder: TempDir,
}

impl Inside {
    /// Starts one, with what `change` makes of its settings.
    pub(crate) async fn start(change: impl FnOnce(&mut NodeConfig)) -> Self {
        Self::start_in(TempDir::new().unwrap(), change)
    }

    /// The same in a folder that has something in it already.
    pub(crate) fn start_in(folder: TempDir, change: impl FnOnce(&mut NodeConfig)) -> Self {
        copy_with_context(&folder.path().join("models/long.gguf"), u32::try_from(CONTEXT).unwrap());
        let mut config = NodeConfig::new(folder.path().join("models"), binary("hearth"));
        config.context_length = Some(u32::try_from(CONTEXT).unwrap());
        config.limits.slots = 2;
        config.backends.cache = backend_results();
        change(&mut config);
        let (node, ended) = Node::start(config);
        Self { node, ended, _folder: folder }
    }

    /// Begins a run of [`LONG`].
    pub(crate) async fn run(&self, task: impl Into<Task>) -> Run {
        self.run_with(task, Priority::Normal).await
    }

    /// The same, with a priority.
    pub(crate) async fn run_with(&self, task: impl Into<Task>, priority: Priority) -> Run {
        self.submit(LONG, task, priority).await.unwrap()
    }

    /// Begins a run, or is refused.
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

    /// Asks for a run to be stopped; whether it was there.
    pub(crate) async fn cancel(&self, run: &Run) -> bool {
        self.node.cancel(run.id).await.unwrap()
    }

    /// What a model is doing.
    pub(crate) async fn runtime(&self, model: &str) -> RuntimeStatus {
        let status = self.node.status().await.unwrap();
        status.models.into_iter().find(|known| known.id == model).unwrap().runtime
    }

    /// The process that has the model, or loads it.
    pub(crate) async fn worker(&self, model: &str) -> u32 {
        eventually("a worker", async || self.runtime(model).await.pid).await
    }

    /// Asks for an answer, which must come: the node works.
    pub(crate) async fn assert_answers(&self) {
        let answer = self.run(short_task()).await.answer().await;
        assert!(answer.text(0).contains("Paris"), "{answer:?}");
    }

    /// Ends it and its workers.
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

    /// Reads on to an event like this, and gives it.
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

    /// Reads on to its getting a slot.
    pub(crate) async fn until_started(&mut self) -> RunEventBody {
        self.until(|event| matches!(event, RunEventBody::Started { .. })).await
    }

    /// Every event from here to the end.
    pub(crate) async fn rest(mut self) -> Vec<RunEventBody> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// All of it, which must end by itself.
    pub(crate) async fn answer(self) -> Answer {
        let events = self.rest().await;
        let Some(RunEventBody::Done { finish_reason }) = events.last() else {
            panic!("the run didn't end by itself: {events:?}")
        };
        Answer { finish_reason: *finish_reason, events }
    }

    /// Its error, which it must end with.
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
    /// The text of one of its answers.
    pub(crate) fn text(&self, of: u32) -> String {
        let texts = self.events.iter().map(|event| match event {
            RunEventBody::Delta { choice, text, .. } if *choice == of => text.as_str(),
            _ => "",
        });
        texts.collect()
    }

    /// What it took, which it tells once.
    pub(crate) fn usage(&self) -> Usage {
        let told = self.events.iter().filter_map(|event| match event {
            RunEventBody::Usage { usage } => Some(*usage),
            _ => None,
        });
        let told: Vec<Usage> = told.collect();
        assert_eq!(told.len(), 1, "{:?}", self.events);
        told[0]
    }

    /// The places in the queue that it was told.
    pub(crate) fn places(&self) -> Vec<u32> {
        let places = self.events.iter().filter_map(|event| match event {
            RunEventBody::Queued { position } => Some(*position),
            _ => None,
        });
        places.collect()
    }

    /// The calls of its first answer: the tool's name, and the arguments' text.
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

/// What a user says, answered as `sampling` says.
pub(crate) fn said(text: &str, sampling: Sampling) -> TextTask {
    TextTask::new(vec![Message::new(Role::User, text)], sampling)
}

/// The likeliest answer.
pub(crate) fn greedy() -> Sampling {
    Sampling { temperature: Some(0.0), ..Sampling::default() }
}

/// A question with a short answer.
pub(crate) fn short_task() -> TextTask {
    said("What is the capital of France?", greedy())
}

/// Goes on until it is stopped.
pub(crate) fn endless_task() -> TextTask {
    let max_tokens = u32::try_from(MANY).ok();
    said("Tell me a story.", Sampling { ignore_eos: true, max_tokens, ..Sampling::default() })
}

/// A short answer to a prompt of so many tokens, and some: a digit is a token.
pub(crate) fn long_prompt(tokens: usize) -> TextTask {
    said(&"7".repeat(tokens), Sampling { max_tokens: Some(3), ignore_eos: true, ..greedy() })
}

/// Workers that wait at a gate before they load anything.
pub(crate) struct Gate {
    script: PathBuf,
    /// Open for reading too, so that it opens whoever is at the other end.
    fifo: File,
}

impl Gate {
    /// Makes a gate in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let fifo = folder.join("gate");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let wait =
            format!("read -r line < '{}'\nexec '{}' \"$@\"", fifo.display(), binary("hearth").display());
        let script = script(folder, &wait);
        Self { script, fifo: OpenOptions::new().read(true).write(true).open(fifo).unwrap() }
    }

    /// What to start workers with.
    pub(crate) fn executable(&self) -> PathBuf {
        self.script.clone()
    }

    /// Lets one worker through.
    pub(crate) fn open(&mut self) {
        self.fifo.write_all(b"\n").unwrap();
    }
}

/// A program of shell commands.
pub(crate) fn script(folder: &Path, commands: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    fs::write(&path, format!("#!/bin/sh\n{commands}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
