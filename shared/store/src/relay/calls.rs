//! Calls: requests of the gateway to a node, other than runs; and the list of what a node has to do.

use std::time::Duration;

use hearth_domain::{NodeCallId, NodeId, Timestamp};
use hearth_wire::relay::{NodeCall, NodeCallAnswer};
use serde::{Deserialize, Serialize};

use super::{
    RelayItems,
    assignments::{OpenRun, OpenRunFields},
    call_key, node_pk,
};
use crate::{
    StoreError,
    database::{Condition, Item, META, Query, Sort, Update, Write},
};

const VERSION: u32 = 1;
/// A call is deleted after this time.
const CALL_TTL: Duration = Duration::from_secs(300);

/// A stored call.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCall {
    /// The call.
    pub call: NodeCall,
    /// The node's answer.
    pub answer: Option<NodeCallAnswer>,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    /// JSON.
    call: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    expires: i64,
}

impl RelayItems<'_> {
    /// Stores a call for a node.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_call(&self, node: NodeId, call: &NodeCall) -> Result<(), StoreError> {
        let expires = Timestamp::now().plus(CALL_TTL).unix();
        let call_json = serde_json::to_string(call).map_err(StoreError::unreadable)?;
        let fields = Fields { call: call_json, answer: None, expires };
        let item = Item::new(call_key(node, call.id), VERSION, &fields)?;
        self.table.put(item.expiring(expires), Condition::Absent).await
    }

    /// Stores a node's answer to a call. A second answer changes nothing.
    ///
    /// # Errors
    /// `Conflict` if the node has no such call.
    pub async fn answer_call(
        &self,
        node: NodeId,
        call: NodeCallId,
        answer: &NodeCallAnswer,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(answer).map_err(StoreError::unreadable)?;
        let update = Update { set: vec![("answer", json.into())], ..Update::default() };
        let open = Condition::All(vec![Condition::Exists, Condition::AttributeAbsent("answer")]);
        match self.table.0.write(Write::Update(call_key(node, call), update, open)).await {
            Err(StoreError::Conflict) if self.call(node, call).await?.is_some() => Ok(()),
            result => result,
        }
    }

    /// A call, with its answer.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn call(&self, node: NodeId, call: NodeCallId) -> Result<Option<StoredCall>, StoreError> {
        let item = self.table.get_item(&call_key(node, call)).await?;
        item.as_ref().map(read_call).transpose()
    }

    /// Deletes a call.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete_call(&self, node: NodeId, call: NodeCallId) -> Result<(), StoreError> {
        self.table.delete(call_key(node, call)).await
    }

    /// A node's open runs, and its calls without an answer, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn open_orders(&self, node: NodeId) -> Result<(Vec<OpenRun>, Vec<NodeCall>), StoreError> {
        let (mut runs, mut calls) = (Vec::new(), Vec::new());
        let now = Timestamp::now().unix();
        // From the calls to the runs: one query for both.
        let range = Sort::Between("CALL#".to_owned(), "RUN#~".to_owned());
        for item in self.table.query(Query::partition(node_pk(node), range)).await? {
            if item.key.sk.starts_with("CALL#") {
                let Fields { expires, answer, call } = item.read()?;
                // The database deletes expired items late.
                if expires > now && answer.is_none() {
                    calls.push(serde_json::from_str(&call).map_err(StoreError::unreadable)?);
                }
            } else if item.key.sk != META {
                let OpenRunFields { run, fence, cancelled, expires } = item.read()?;
                if expires > now {
                    runs.push(OpenRun { run, assigned_at_fence: fence, is_cancelled: cancelled });
                }
            }
        }
        Ok((runs, calls))
    }
}

fn read_call(item: &Item) -> Result<StoredCall, StoreError> {
    let Fields { call, answer, .. } = item.read()?;
    let call = serde_json::from_str(&call).map_err(StoreError::unreadable)?;
    let answer = answer.map(|json| serde_json::from_str(&json).map_err(StoreError::unreadable));
    Ok(StoredCall { call, answer: answer.transpose()? })
}
