//! The record of a job: what all kinds have, and the parts of downloads and of jobs that the gateway carries out.

use std::time::Duration;

use hearth_domain::{
    JobError, JobId, JobKind, JobState, NodeId, OrganisationId, Owner, Priority, RunId, Timestamp, UserId,
    WebhookId,
};
use hearth_wire::native::{hub::ModelCard, jobs::JobPauseScope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// The user who has begun it.
    pub user: UserId,
    /// The organisation in which it was begun.
    pub organisation: OrganisationId,
    /// Its kind. Records of earlier versions are downloads.
    #[serde(default)]
    pub kind: JobKind,
    /// The place among the jobs that wait.
    #[serde(default)]
    pub priority: Priority,
    /// The state.
    pub state: JobState,
    /// The number of the state, which each write raises; of a download the node's number, 0 before the node has it.
    pub revision: i64,
    /// The error of a failed job.
    #[serde(default)]
    pub error: Option<JobError>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When its latest state was stored.
    pub updated_at: Timestamp,
    /// When it ended; of a download when its end was read.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The part of a download.
    #[serde(flatten)]
    pub download: Option<DownloadJob>,
    /// The part of a job that the gateway carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Box<JobWork>>,
}

/// The part of a download.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DownloadJob {
    /// The node that downloads.
    pub node: NodeId,
    /// The source.
    pub source: String,
    /// The model's id.
    #[serde(default)]
    pub model: Option<String>,
    /// The path of the file in the model folder.
    #[serde(default)]
    pub file: Option<String>,
    /// The file's SHA-256.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The size in bytes.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// Bytes so far.
    #[serde(default)]
    pub done_bytes: u64,
    /// The model's card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<ModelCard>,
}

/// The part of a job that the gateway carries out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobWork {
    /// The caller who has submitted it, in the gateway's own form; none for the gateway's own work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Value>,
    /// True if no list has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_hidden: bool,
    /// Number of attempts after which it fails.
    pub max_attempts: u32,
    /// Time before which it isn't carried out: the one that its client has set, or that of its next attempt or slice.
    pub start_at: Timestamp,
    /// Time at which it ends, complete or not.
    pub expires_at: Timestamp,
    /// Time at which it has to be looked at, by which the index of due jobs is sorted; none once nothing is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<Timestamp>,
    /// The pause that holds it, where an index has to find it when its kind is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<JobPauseScope>,
    /// Seconds for which it is stored after its end.
    pub retention_seconds: u64,
    /// The attempts, the first one first.
    #[serde(default)]
    pub attempts: Vec<JobAttempt>,
    /// The number of leases that ended without a word of their processes.
    #[serde(default)]
    pub interruptions: u32,
    /// The group of jobs, such as the deliveries to one endpoint, of which a few are carried out at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// The number of times in a row that a rate limit has refused its request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// The fencing token of the latest lease.
    #[serde(default)]
    pub fence: u64,
    /// The end of the present lease; none if no process carries it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leased_until: Option<Timestamp>,
    /// Units of work that are done.
    #[serde(default)]
    pub done: u64,
    /// Units of work; 0 if they aren't counted.
    #[serde(default)]
    pub total: u64,
    /// The place of the result of a completed job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// True for a failed job among the dead letters: its owner hasn't submitted it again, nor dropped it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_dead: bool,
    /// The job whose input it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<JobId>,
    /// The latest job that repeats its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed_by: Option<JobId>,
    /// The job that has submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// The webhook of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookId>,
    /// Keys of the objects that are deleted with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// The hash of the text that names its submission, by which an erasure finds that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is serde's form")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An attempt to carry out a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobAttempt {
    /// Its number, from 1.
    pub number: u32,
    /// The id of the run that it starts, of a kind that starts one.
    pub run: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The error that has ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

/// The place of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobResult {
    /// Its size as JSON.
    pub size_bytes: u64,
    /// The object that has it; none if it is an item of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_key: Option<String>,
}

impl JobWork {
    /// The part of a job that begins at `start_at`.
    #[must_use]
    pub fn new(max_attempts: u32, start_at: Timestamp, expires_at: Timestamp, retention: Duration) -> Self {
        Self {
            caller: None,
            is_hidden: false,
            max_attempts,
            start_at,
            expires_at,
            look_at: None,
            held_by: None,
            retention_seconds: retention.as_secs(),
            attempts: Vec::new(),
            interruptions: 0,
            group: None,
            refusals: 0,
            fence: 0,
            leased_until: None,
            done: 0,
            total: 0,
            result: None,
            is_dead: false,
            replay_of: None,
            replayed_by: None,
            parent: None,
            webhook: None,
            objects: Vec::new(),
            submission: None,
        }
    }

    /// Sets the time at which the job has to be looked at. No pause holds it any longer.
    pub fn set_look_at(&mut self, at: Option<Timestamp>) {
        (self.look_at, self.held_by) = (at, None);
    }
}

impl JobRecord {
    /// A download that `owner` begins now.
    #[must_use]
    pub fn new_download(id: JobId, owner: Owner, node: NodeId, source: &str) -> Self {
        let download = DownloadJob {
            node,
            source: source.to_owned(),
            model: None,
            file: None,
            sha256: None,
            size_bytes: None,
            done_bytes: 0,
            card: None,
        };
        Self { download: Some(download), ..Self::new(id, owner, JobKind::Download) }
    }

    /// A job that `owner` submits now, for the gateway to carry out.
    #[must_use]
    pub fn new_work(id: JobId, owner: Owner, kind: JobKind, work: JobWork) -> Self {
        Self { work: Some(Box::new(work)), ..Self::new(id, owner, kind) }
    }

    fn new(id: JobId, owner: Owner, kind: JobKind) -> Self {
        let now = Timestamp::now();
        Self {
            id,
            user: owner.user,
            organisation: owner.organisation,
            kind,
            priority: Priority::Normal,
            state: JobState::Queued,
            revision: 0,
            error: None,
            created_at: now,
            updated_at: now,
            ended_at: None,
            download: None,
            work: None,
        }
    }

    /// The user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.user, organisation: self.organisation }
    }

    /// The attempt that goes on.
    #[must_use]
    pub fn open_attempt(&self) -> Option<&JobAttempt> {
        self.work.as_ref()?.attempts.last().filter(|attempt| attempt.ended_at.is_none())
    }
}
