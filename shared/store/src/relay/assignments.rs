//! Runs that are assigned to a node: the task, and the state with its fencing token.

use std::time::Duration;

use hearth_domain::{NodeId, RunId, Timestamp};
use hearth_wire::{ApiError, node::NodeRun};
use serde::{Deserialize, Serialize};

use super::{RelayItems, open_run_key, run_pk};
use crate::{
    StoreError, bucket,
    database::{Condition, Item, Key, META, Update, Write},
};

const VERSION: u32 = 1;
/// The sort key of a run's task.
const TASK: &str = "TASK";
/// A longer task is stored in the bucket. DynamoDB's limit for an item is 400 KB.
const INLINE_TASK_MAX_BYTES: usize = 200 << 10;
/// A run that its node never ends is deleted after this time.
const RUN_TTL: Duration = Duration::from_secs(24 * 3600);

/// The state of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// The node hasn't claimed the run.
    Assigned,
    /// The node has claimed the run, and posted no event.
    Claimed,
    /// The node has posted an event.
    Running,
    /// It has ended.
    Ended,
}

impl AssignmentState {
    /// States in which the run is executed, or will be.
    pub const OPEN: [Self; 3] = [Self::Assigned, Self::Claimed, Self::Running];

    /// The name in items.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

/// The reason why an assignment has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AssignmentEnd {
    /// The node has posted the run's terminal event.
    Terminal,
    /// The gateway has withdrawn it before the claim.
    Withdrawn,
    /// The node has refused it.
    Refused {
        /// The reason.
        error: ApiError,
    },
    /// The gateway has given the node up.
    Lost {
        /// The reason.
        error: ApiError,
    },
}

/// A run that is assigned to a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Its state.
    pub state: AssignmentState,
    /// The fencing token of the latest claim: 0 before the first.
    #[serde(with = "fence_text")]
    pub fence: u64,
    /// The process of the node that has claimed it, by a name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimer: Option<String>,
    /// Milliseconds since 1970 up to which the claim is valid without an event.
    #[serde(default)]
    pub lease_until_ms: i64,
    /// When it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    /// True if the run goes on without a client.
    #[serde(default)]
    pub detached: bool,
    /// True if the bucket has the task.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_object: bool,
    /// The reason of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AssignmentEnd>,
    /// When it was assigned.
    pub created_at: Timestamp,
}

/// An entry of a node's list of open runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRun {
    /// The run.
    pub run: RunId,
    /// The fencing token at its assignment, which tells this assignment from earlier ones to the same node.
    pub assigned_at_fence: u64,
    /// True if it is cancelled.
    pub is_cancelled: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OpenRunFields {
    pub(super) run: RunId,
    #[serde(default)]
    pub(super) fence: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) cancelled: bool,
    pub(super) expires: i64,
}

#[derive(Serialize, Deserialize)]
struct TaskFields {
    /// JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// The object with the JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl RelayItems<'_> {
    /// Assigns a run to a node. A run that the node had before, and that has ended there, is assigned anew.
    ///
    /// # Errors
    /// `Conflict` if the node has the run, and it hasn't ended.
    pub async fn assign(&self, node: NodeId, run: &NodeRun) -> Result<Assignment, StoreError> {
        let now = Timestamp::now();
        let before = self.assignment(node, run.run).await?;
        let fence = before.as_ref().map_or(0, |before| before.fence);
        let condition = match &before {
            None => Condition::Absent,
            Some(before) => Condition::All(vec![is_at(before.fence), is_in(&[AssignmentState::Ended])]),
        };
        let fields = self.place_task(node, run).await?;
        let assignment = Assignment {
            state: AssignmentState::Assigned,
            fence,
            claimer: None,
            lease_until_ms: 0,
            cancelled_at: None,
            detached: run.detached,
            has_object: fields.key.is_some(),
            end: None,
            created_at: now,
        };
        let expires = now.plus(RUN_TTL).unix();
        let task = Item::new(task_key(node, run.run), VERSION, &fields)?;
        let item = Item::new(key(node, run.run), VERSION, &assignment)?;
        let open = OpenRunFields { run: run.run, fence, cancelled: false, expires };
        let open = Item::new(open_run_key(node, run.run), VERSION, &open)?;
        // In this order: a node that finds the entry finds the rest.
        let writes = vec![
            Write::Put(task.expiring(expires), Condition::Always),
            Write::Put(item.expiring(expires), condition),
            Write::Put(open.expiring(expires), Condition::Always),
        ];
        self.table.write_in_order(writes).await?;
        Ok(assignment)
    }

    /// A run's assignment to a node.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn assignment(&self, node: NodeId, run: RunId) -> Result<Option<Assignment>, StoreError> {
        self.table.get(&key(node, run)).await
    }

    /// A run's task.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn task(&self, node: NodeId, run: RunId) -> Result<Option<NodeRun>, StoreError> {
        let Some(fields) = self.table.get::<TaskFields>(&task_key(node, run)).await? else { return Ok(None) };
        let json = match (fields.run, fields.key) {
            (Some(json), _) => json,
            (None, Some(key)) => bucket::read_text(self.bucket, &key).await?,
            (None, None) => return Err(StoreError::Unreadable("a run without its task".to_owned())),
        };
        serde_json::from_str(&json).map(Some).map_err(StoreError::unreadable)
    }

    /// Claims a run, which is as `before`, up to `lease_until_ms`, for a process of the node. Returns the assignment with the new
    /// fencing token.
    ///
    /// # Errors
    /// `Conflict` if it has changed meanwhile.
    pub async fn claim(
        &self,
        node: NodeId,
        run: RunId,
        before: &Assignment,
        lease_until_ms: i64,
        claimer: Option<String>,
    ) -> Result<Assignment, StoreError> {
        let (state, fence) = (AssignmentState::Claimed, before.fence + 1);
        let mut set = vec![
            ("state", state.as_str().into()),
            ("fence", fence_text::text(fence).into()),
            ("lease_until_ms", lease_until_ms.into()),
        ];
        set.extend(claimer.clone().map(|claimer| ("claimer", claimer.into())));
        let remove = if claimer.is_none() { vec!["claimer"] } else { Vec::new() };
        let condition = Condition::All(vec![is_at(before.fence), is_in(&[before.state])]);
        self.change(node, run, Update { set, remove, ..Update::default() }, condition).await?;
        Ok(Assignment { state, fence, claimer, lease_until_ms, ..before.clone() })
    }

    /// Records that the claim `fence` has an event, and extends its lease: from then on the run can't be claimed again.
    ///
    /// # Errors
    /// `Conflict` if the claim isn't the latest, has an event, or the assignment has ended.
    pub async fn begin(
        &self,
        node: NodeId,
        run: RunId,
        fence: u64,
        lease_until_ms: i64,
    ) -> Result<(), StoreError> {
        let state = AssignmentState::Running.as_str();
        let set = vec![("state", state.into()), ("lease_until_ms", lease_until_ms.into())];
        let condition = Condition::All(vec![is_at(fence), is_in(&[AssignmentState::Claimed])]);
        self.change(node, run, Update { set, ..Update::default() }, condition).await
    }

    /// Extends the lease of the claim `fence`.
    ///
    /// # Errors
    /// `Conflict` if the claim isn't the latest, or the assignment has ended.
    pub async fn renew(
        &self,
        node: NodeId,
        run: RunId,
        fence: u64,
        lease_until_ms: i64,
    ) -> Result<(), StoreError> {
        let set = vec![("lease_until_ms", lease_until_ms.into())];
        let claimed = is_in(&[AssignmentState::Claimed, AssignmentState::Running]);
        let condition = Condition::All(vec![is_at(fence), claimed]);
        self.change(node, run, Update { set, ..Update::default() }, condition).await
    }

    /// Marks an assignment that hasn't ended as cancelled.
    ///
    /// # Errors
    /// `Conflict` if it has ended, or is marked.
    pub async fn mark_run_cancelled(&self, node: NodeId, run: RunId) -> Result<(), StoreError> {
        let set = vec![("cancelled_at", Timestamp::now().to_string().into())];
        let condition =
            Condition::All(vec![is_in(&AssignmentState::OPEN), Condition::AttributeAbsent("cancelled_at")]);
        self.change(node, run, Update { set, ..Update::default() }, condition).await?;
        let update = Update { set: vec![("cancelled", true.into())], ..Update::default() };
        match self.table.update(open_run_key(node, run), update).await {
            Err(StoreError::Conflict) => Ok(()),
            result => result,
        }
    }

    /// Ends an assignment, if it has the fencing token of `before`, is in one of the states, and its lease ends at
    /// `lease_max_ms` at the latest; removes it from the node's list, and deletes the task.
    ///
    /// # Errors
    /// `Conflict` if it isn't so.
    pub async fn end_assignment(
        &self,
        node: NodeId,
        run: RunId,
        before: &Assignment,
        states: &[AssignmentState],
        lease_max_ms: Option<i64>,
        end: &AssignmentEnd,
    ) -> Result<(), StoreError> {
        let reason = serde_json::to_value(end).map_err(StoreError::unreadable)?;
        let set = vec![("state", AssignmentState::Ended.as_str().into()), ("end", reason)];
        let mut conditions = vec![is_at(before.fence), is_in(states)];
        conditions.extend(lease_max_ms.map(|max| Condition::NumberAtMost("lease_until_ms", max)));
        self.change(node, run, Update { set, ..Update::default() }, Condition::All(conditions)).await?;
        self.close_run(node, run).await?;
        // The prompt stays no longer than it is needed.
        self.table.delete(task_key(node, run)).await?;
        if before.has_object {
            self.bucket.delete(&object_key(node, run)).await?;
        }
        Ok(())
    }

    /// Removes a run from its node's list.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn close_run(&self, node: NodeId, run: RunId) -> Result<(), StoreError> {
        self.table.delete(open_run_key(node, run)).await
    }

    async fn change(
        &self,
        node: NodeId,
        run: RunId,
        update: Update,
        condition: Condition,
    ) -> Result<(), StoreError> {
        self.table.0.write(Write::Update(key(node, run), update, condition)).await
    }

    async fn place_task(&self, node: NodeId, run: &NodeRun) -> Result<TaskFields, StoreError> {
        let json = serde_json::to_string(run).map_err(StoreError::unreadable)?;
        if json.len() <= INLINE_TASK_MAX_BYTES {
            return Ok(TaskFields { run: Some(json), key: None });
        }
        let key = object_key(node, run.run);
        self.bucket.put(&key, "application/json", json.into_bytes()).await?;
        Ok(TaskFields { run: None, key: Some(key) })
    }
}

/// The fencing token is a text in items: conditions compare texts.
mod fence_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn text(fence: u64) -> String {
        fence.to_string()
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of serde's functions")]
    pub(super) fn serialize<S: Serializer>(fence: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*fence))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn is_at(fence: u64) -> Condition {
    Condition::AttributeEquals("fence", fence_text::text(fence))
}

fn is_in(states: &[AssignmentState]) -> Condition {
    Condition::AttributeIn("state", states.iter().map(|state| state.as_str()).collect())
}

fn key(node: NodeId, run: RunId) -> Key {
    Key::new(run_pk(node, run), META)
}

fn object_key(node: NodeId, run: RunId) -> String {
    format!("runs/{run}/relay/{node}")
}

fn task_key(node: NodeId, run: RunId) -> Key {
    Key::new(run_pk(node, run), TASK)
}
