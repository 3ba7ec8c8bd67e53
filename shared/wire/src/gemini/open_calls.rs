//! Which call a result answers.

use std::collections::{HashMap, HashSet, VecDeque};

use hearth_domain::Message;

use super::GeminiFunctionResponse;

/// Calls that a result may answer. Looked up by id and by name, since a request may have very many.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    /// The ids of all that have no result yet.
    open: HashSet<String>,
    /// Those of the model's latest turn, by their names, in order.
    latest: HashMap<String, VecDeque<String>>,
    /// Those before it.
    earlier: HashMap<String, VecDeque<String>>,
}

impl OpenCalls {
    /// Takes the calls of a turn of the model's.
    pub(super) fn begin(&mut self, message: &Message) {
        for call in &message.tool_calls {
            self.open.insert(call.id.clone());
            self.latest.entry(call.name.clone()).or_default().push_back(call.id.clone());
        }
    }

    /// The user has spoken: later results are rather those of later calls.
    pub(super) fn close(&mut self) {
        for (name, ids) in self.latest.drain() {
            self.earlier.entry(name).or_default().extend(ids);
        }
    }

    /// The id of the call that a result answers, by its id, or else by its name.
    pub(super) fn answered(&mut self, response: &GeminiFunctionResponse) -> Option<String> {
        if let Some(id) = response.id.as_ref().filter(|id| self.open.remove(*id)) {
            return Some(id.clone());
        }
        for calls in [&mut self.latest, &mut self.earlier] {
            let Some(ids) = calls.get_mut(&response.name) else { continue };
            // Those that were answered by their ids are still in line.
            while let Some(id) = ids.pop_front() {
                if self.open.remove(&id) {
                    return Some(id);
                }
            }
        }
        None
    }
}
