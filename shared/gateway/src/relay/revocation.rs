//! The end of what a node has, when the node ends.

use std::sync::PoisonError;

use hearth_domain::{NodeId, RunId};
use hearth_store::{StoreError, relay::AssignmentState};

use super::{Relay, errors};

impl Relay {
    /// Ends the runs and calls of a node, and forgets its state.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn end_all_of(&self, node: NodeId) -> Result<(), StoreError> {
        let store = self.0.store.relay();
        let (runs, calls) = store.open_orders(node).await?;
        for open in runs {
            self.end_run(node, open.run, "its key was revoked").await?;
        }
        for call in calls {
            store.delete_call(node, call.id).await?;
            self.0.calls.wake(&call.id);
        }
        store.forget_node(node).await?;
        self.0.states.remove(&node);
        self.0.statuses.remove(&node);
        self.0.delivered.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
        Ok(())
    }

    /// Takes a run from a node: what it posts from now on is refused.
    async fn end_run(&self, node: NodeId, run: RunId, problem: &str) -> Result<(), StoreError> {
        let Some(before) = self.0.store.relay().assignment(node, run).await? else {
            return Ok(());
        };
        if before.state != AssignmentState::Ended {
            // A claim at the same moment changes the fencing token: then the run is ended by its next one.
            let open = AssignmentState::OPEN;
            self.end_from(node, run, &before, &open, None, errors::lost(problem)).await?;
        }
        self.0.store.relay().close_run(node, run).await
    }
}
