//! The client of a turn: it waits for the run to begin, or reads its events already.

use std::collections::VecDeque;

use hearth_domain::{AppliedDefinitions, RunId};
use hearth_wire::{ApiError, RunEvent, RunEventBody};
use tokio::sync::{mpsc, oneshot};

use crate::run::{DriverTask, EventSender, Reader, RunStream, channel, driver_died};

/// The client's end of a turn.
pub(super) struct TurnClient {
    state: State,
    /// The run is stopped when the client goes away.
    stops_with_client: bool,
    /// The schema and the template of the turn's request.
    definitions: Option<Box<AppliedDefinitions>>,
    last_seq: u64,
}

enum State {
    /// The handler waits for the run's beginning.
    Waiting(oneshot::Sender<Result<RunStream, ApiError>>),
    /// The client reads events.
    Reading(EventSender),
    /// It has its last event.
    Ended,
}

impl TurnClient {
    pub(super) fn new(
        sender: oneshot::Sender<Result<RunStream, ApiError>>,
        stops_with_client: bool,
        definitions: Option<Box<AppliedDefinitions>>,
    ) -> Self {
        Self { state: State::Waiting(sender), stops_with_client, definitions, last_seq: 0 }
    }

    /// Waits until a client goes away with which the run is stopped.
    pub(super) async fn gone(&mut self) {
        if !self.stops_with_client {
            return std::future::pending().await;
        }
        match &mut self.state {
            State::Waiting(sender) => sender.closed().await,
            State::Reading(sender) => sender.events.closed().await,
            State::Ended => std::future::pending().await,
        }
    }

    /// Waits until the client goes away.
    pub(super) async fn closed(&self) {
        match &self.state {
            State::Reading(sender) => sender.events.closed().await,
            _ => std::future::pending().await,
        }
    }

    /// The error of a run whose events end without an end.
    pub(super) fn broken_off(&self) -> ApiError {
        let reason = match &self.state {
            State::Reading(client) => client.broken_off.get().cloned(),
            _ => None,
        };
        reason.unwrap_or_else(driver_died)
    }

    /// Begins the client's events before the run `id` does.
    pub(super) fn begin_early(&mut self, id: RunId, event: RunEvent) {
        let (client, rest, end) = channel();
        let first = VecDeque::from([event]);
        let driver = DriverTask::none();
        let (cache, rate, definitions) = (None, None, self.definitions.clone());
        let run = RunStream { id, cache, rate, definitions, first, rest, driver, end, reader: None };
        if let State::Waiting(sender) = std::mem::replace(&mut self.state, State::Reading(client)) {
            // A client that is gone is noticed by the closed channel.
            let _ = sender.send(Ok(run));
        }
    }

    /// Passes the beginning of a run to the client. Returns the run's further events, and the client as a reader of the run, if
    /// the client doesn't count itself.
    pub(super) async fn begin(&mut self, run: RunStream) -> (mpsc::Receiver<RunEvent>, Option<Reader>) {
        let RunStream { id, cache, rate, definitions, first, rest: events, mut driver, end, reader } = run;
        driver.detach();
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Waiting(sender) => {
                let (client, rest) = end.sender();
                self.state = State::Reading(client);
                let driver = DriverTask::none();
                let run = RunStream { id, cache, rate, definitions, first, rest, driver, end, reader };
                let _ = sender.send(Ok(run));
                (events, None)
            }
            state => {
                self.state = state;
                for event in first {
                    self.send(event).await;
                }
                (events, reader)
            }
        }
    }

    /// Sends an event, if the client is there.
    pub(super) async fn send(&mut self, event: RunEvent) {
        self.last_seq = event.seq;
        if let State::Reading(client) = &self.state {
            let _ = client.events.send(event).await;
        }
    }

    /// Ends the client's events with an error.
    pub(super) async fn fail(&mut self, error: ApiError) {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Waiting(sender) => drop(sender.send(Err(error))),
            State::Reading(client) => {
                let event = RunEvent { seq: self.last_seq + 1, body: RunEventBody::Error { error } };
                let _ = client.events.send(event).await;
            }
            State::Ended => {}
        }
    }
}
