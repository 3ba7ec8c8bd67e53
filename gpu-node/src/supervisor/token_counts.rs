//! Requests to count tokens, which wait for their model's worker.

use std::collections::HashMap;

use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeCountBody, NodeTokenCount},
};

use super::{actor::Actor, message::Reply, worker::Worker};
use crate::frames::Command;

/// Limit of the requests that wait.
const WAITING_MAX_COUNT: usize = 256;

/// The requests that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct TokenCounts {
    /// Number of the last request.
    last: u64,
    waiting: HashMap<u64, WaitingCount>,
}

#[derive(Debug)]
struct WaitingCount {
    model: String,
    /// The texts, until they are sent to a worker.
    body: Option<Box<NodeCountBody>>,
    reply: Reply<Result<NodeTokenCount, ApiError>>,
}

impl TokenCounts {
    /// Adds a request.
    ///
    /// # Errors
    /// Returns the reply if too many requests wait.
    fn add(
        &mut self,
        body: Box<NodeCountBody>,
        reply: Reply<Result<NodeTokenCount, ApiError>>,
    ) -> Result<(), Reply<Result<NodeTokenCount, ApiError>>> {
        self.waiting.retain(|_, count| !count.reply.is_closed());
        if self.waiting.len() >= WAITING_MAX_COUNT {
            return Err(reply);
        }
        self.last += 1;
        let model = body.model.clone();
        self.waiting.insert(self.last, WaitingCount { model, body: Some(body), reply });
        Ok(())
    }

    /// Sends the requests for `model` to its worker. One that is still loading handles them afterwards.
    fn send(&mut self, model: &str, worker: &Worker) {
        for (request, count) in self.waiting.iter_mut().filter(|(_, count)| count.model == model) {
            if let Some(body) = count.body.take() {
                worker.send(Command::Count { request: *request, body });
            }
        }
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, request: u64, result: Result<NodeTokenCount, ApiError>) {
        if let Some(count) = self.waiting.remove(&request) {
            let _ = count.reply.send(result);
        }
    }

    /// Fails the requests for a model whose worker has ended.
    pub(super) fn fail(&mut self, model: &str) {
        let ended: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, count)| count.model == model)
            .map(|(request, _)| *request)
            .collect();
        for request in ended {
            let message = "the model's process has ended before it counted the tokens; try again";
            self.answer(request, Err(ApiError::new(ErrorCode::ProviderError, message)));
        }
    }
}

impl Actor {
    /// Has a model's worker count tokens; loads the model if it has none.
    pub(super) fn count_tokens(
        &mut self,
        body: Box<NodeCountBody>,
        reply: Reply<Result<NodeTokenCount, ApiError>>,
    ) {
        let model = body.model.clone();
        if self.models.process(&model).worker.is_none()
            && let Err(error) = self.load(&model)
        {
            let _ = reply.send(Err(error));
            return;
        }
        if let Err(reply) = self.counts.add(body, reply) {
            let message = "too many requests to count tokens are waiting; try again later";
            let _ = reply.send(Err(ApiError::new(ErrorCode::QueueFull, message)));
            return;
        }
        self.send_counts(&model);
    }

    /// Sends the requests that wait for the model's worker, if it has one.
    pub(super) fn send_counts(&mut self, model: &str) {
        if let Some(worker) = &self.models.process(model).worker {
            self.counts.send(model, worker);
        }
    }
}
