//! Matches results with calls.

use std::collections::{HashMap, HashSet, VecDeque};

use hearth_domain::Message;

use super::GeminiFunctionResponse;

/// Calls without a result. They are looked up by id and by name, since a request may have very many.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    /// Ids of all calls without a result.
    open: HashSet<String>,
    /// Ids of the calls of the model's latest turn, by function name, in order.
    latest: HashMap<String, VecDeque<String>>,
    /// Ids of earlier calls, by function name, in order.
    earlier: HashMap<String, VecDeque<String>>,
}

impl OpenCalls {
    /// Adds the calls of a turn of the model.
    pub(super) fn add_turn(&mut self, message: &Message) {
        for call in &message.tool_calls {
            self.open.insert(call.id.clone());
            self.latest.entry(call.name.clone()).or_default().push_back(call.id.clone());
        }
    }

    /// Ends the exchange at a user's message: results after it belong to later calls first.
    pub(super) fn end_turn(&mut self) {
        for (name, ids) in self.latest.drain() {
            self.earlier.entry(name).or_default().extend(ids);
        }
    }

    /// Removes the call of a result, found by id or else by name, and returns its id.
    pub(super) fn take_matching(&mut self, response: &GeminiFunctionResponse) -> Option<String> {
        if let Some(id) = response.id.as_ref().filter(|id| self.open.remove(*id)) {
            return Some(id.clone());
        }
        for calls in [&mut self.latest, &mut self.earlier] {
            let Some(ids) = calls.get_mut(&response.name) else { continue };
            // Calls that were matched by id are still in the queue.
            while let Some(id) = ids.pop_front() {
                if self.open.remove(&id) {
                    return Some(id);
                }
            }
        }
        None
    }
}
