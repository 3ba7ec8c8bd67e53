//! Which requests and messages are treated badly.

use std::time::Duration;

use bytes::Bytes;

/// A fault of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Delivers the request twice. The client gets the second answer.
    Double,
    /// Cuts the client's connection, and delivers the request after the next one to the same path was answered.
    Late,
    /// Delivers half of the body, and cuts both connections.
    CutRequest,
    /// Delivers the request, and cuts the client's connection in place of the answer.
    CutAnswer,
    /// Neither delivers nor answers the request, and keeps the connection open.
    HalfOpen,
    /// Answers with this status, without delivering the request.
    Refuse(u16),
    /// Delivers the request after this time.
    Delay(Duration),
}

/// A fault of a message from the server, over a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFault {
    /// Doesn't deliver it.
    Drop,
    /// Delivers it twice.
    Double,
    /// Delivers it after this time, and those behind it too.
    Delay(Duration),
}

/// Faults that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    requests: Vec<(String, Fault, usize)>,
    messages: Vec<(String, MessageFault, usize)>,
    /// Requests that are late, with their paths.
    late: Vec<(String, Bytes)>,
}

impl Rules {
    pub(crate) fn add(&mut self, part: &str, fault: Fault, count: usize) {
        self.requests.push((part.to_owned(), fault, count));
    }

    pub(crate) fn add_message(&mut self, part: &str, fault: MessageFault, count: usize) {
        self.messages.push((part.to_owned(), fault, count));
    }

    /// Takes the fault of the request with this method and path.
    pub(crate) fn take(&mut self, request: &str) -> Option<Fault> {
        take(&mut self.requests, request)
    }

    /// Takes the fault of a message.
    pub(crate) fn take_message(&mut self, text: &str) -> Option<MessageFault> {
        take(&mut self.messages, text)
    }

    /// Stores a request to deliver later.
    pub(crate) fn put_late(&mut self, path: &str, request: Bytes) {
        self.late.push((path.to_owned(), request));
    }

    /// Takes the late requests to a path.
    pub(crate) fn take_late(&mut self, path: &str) -> Vec<Bytes> {
        self.late.extract_if(.., |(late, _)| late == path).map(|(_, request)| request).collect()
    }
}

fn take<T: Copy>(rules: &mut [(String, T, usize)], text: &str) -> Option<T> {
    let (_, fault, count) =
        rules.iter_mut().find(|(part, _, count)| *count > 0 && text.contains(part.as_str()))?;
    *count -= 1;
    Some(*fault)
}
