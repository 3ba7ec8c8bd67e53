//! Submission of jobs; their inputs and results, each an item beside the record, or an object if it is large.

use std::collections::BTreeSet;

use hearth_domain::{JobId, Owner, Timestamp, hex};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{DEAD_LETTER_TTL, JobRecord, JobResult, JobWork, Jobs, TTL_GRACE, ends_at, item, key};
use crate::{
    StoreError, bucket,
    database::{Condition, Created, Item, Key, META, Update, Write},
    owned::OwnedEntry,
};

const VERSION: u32 = 1;
const INPUT: &str = "INPUT";
const RESULT: &str = "RESULT";
/// A longer input is stored in the bucket.
const INPUT_INLINE_MAX_BYTES: usize = 100 << 10;
/// A longer result is stored in the bucket.
const RESULT_INLINE_MAX_BYTES: usize = 32 << 10;
/// Characters of the SHA-256 of a result in its object's key.
const HASH_CHARS: usize = 32;

/// A job to submit.
#[derive(Debug)]
pub struct NewWork<'a> {
    /// The job. Its objects are added.
    pub job: JobRecord,
    /// Its input.
    pub input: &'a Value,
    /// Its options, by which a submission with the same `dedupe` is compared; null without any.
    pub options: &'a Value,
    /// A text that names the submission: a second one of the owner's with it returns the first job.
    pub dedupe: Option<&'a str>,
}

/// The outcome of a submission.
#[derive(Debug)]
pub enum SubmittedWork {
    /// The job is stored.
    New(Box<JobRecord>),
    /// An earlier submission has the same text: its job, and true if its input and options are the same.
    Earlier(Box<JobRecord>, bool),
}

/// An input or a result: JSON in the item, or in an object.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<String>,
    /// The object's key. An export of the store reads it by this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_key: Option<String>,
}

/// The job of a submission.
#[derive(Serialize, Deserialize)]
struct Submission {
    job: JobId,
    /// SHA-256 of the input and the options.
    input: String,
}

impl Jobs<'_> {
    /// Stores a new job and its input, after its entry in the owner's index. The record comes last, so it never lacks its input.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn submit(&self, new: NewWork<'_>) -> Result<SubmittedWork, StoreError> {
        let NewWork { mut job, input, options, dedupe } = new;
        let json = serde_json::to_string(input).map_err(StoreError::unreadable)?;
        let hash = body_hash(&json, options);
        let text_hash = dedupe.map(|text| submission_hash(job.owner(), text));
        let submission = text_hash.as_deref().map(submission_key);
        let mut is_free = Condition::Absent;
        if let Some(key) = &submission
            && let Some(earlier) = self.table.get::<Submission>(key).await?
        {
            if let Some(job) = self.get(earlier.job).await? {
                return Ok(SubmittedWork::Earlier(Box::new(job), earlier.input == hash));
            }
            // A text counts as long as its job is stored.
            is_free = Condition::AttributeEquals("job", earlier.job.to_string());
        }
        job.work.iter_mut().for_each(|work| work.submission.clone_from(&text_hash));
        let expires = ends_at(&job).plus(TTL_GRACE);
        // It may become a dead letter.
        let expires_last = expires.max(last_end(&job).plus(DEAD_LETTER_TTL + TTL_GRACE));
        let payload = if json.len() <= INPUT_INLINE_MAX_BYTES {
            Payload { json: Some(json), payload_key: None }
        } else {
            let object = format!("jobs/{}/input", job.id);
            self.bucket.put(&object, "application/json", json.into_bytes()).await?;
            job.work.iter_mut().for_each(|work| work.objects.push(object.clone()));
            Payload { json: None, payload_key: Some(object) }
        };
        let input = Item::new(key(job.id, INPUT), VERSION, &payload)?.expiring(expires.unix());
        let entry = OwnedEntry::Job(job.id).write_for(job.user, Timestamp::now().until(expires_last))?;
        self.table.write_in_order(vec![entry, Write::Put(input, Condition::Always)]).await?;
        let record = Write::Put(item(&job)?, Condition::Absent);
        let Some(key) = submission else {
            self.table.write_in_order(vec![record]).await?;
            return Ok(SubmittedWork::New(Box::new(job)));
        };
        let value = Submission { job: job.id, input: hash.clone() };
        let first = Item::new(key.clone(), VERSION, &value)?.expiring(expires_last.unix());
        match self.table.transact(vec![Write::Put(first, is_free), record]).await {
            Ok(()) => Ok(SubmittedWork::New(Box::new(job))),
            Err(StoreError::Conflict) => {
                // Another submission came first. What was stored of this one expires, or goes with its owner.
                let earlier = self.table.get::<Submission>(&key).await?.ok_or(StoreError::Conflict)?;
                let job = self.get(earlier.job).await?.ok_or(StoreError::Conflict)?;
                Ok(SubmittedWork::Earlier(Box::new(job), earlier.input == hash))
            }
            Err(error) => Err(error),
        }
    }

    /// The job of an owner's submission with the text `dedupe`, if it is stored, and true if its input and options are the same.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn submitted(
        &self,
        owner: Owner,
        dedupe: &str,
        input: &Value,
        options: &Value,
    ) -> Result<Option<(JobRecord, bool)>, StoreError> {
        let key = submission_key(&submission_hash(owner, dedupe));
        let Some(submission) = self.table.get::<Submission>(&key).await? else { return Ok(None) };
        let json = serde_json::to_string(input).map_err(StoreError::unreadable)?;
        let is_same = submission.input == body_hash(&json, options);
        Ok(self.get(submission.job).await?.map(|job| (job, is_same)))
    }

    /// Stores the input of a job that is about to fail for as long as the job.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn extend_input(&self, failed: &JobRecord) -> Result<(), StoreError> {
        let ttl = Some(ends_at(failed).plus(TTL_GRACE).unix());
        let update = Update { create: Some(Created { version: VERSION, ttl }), ..Update::default() };
        match self.table.update(key(failed.id, INPUT), update).await {
            // It was deleted.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The input of a job.
    ///
    /// # Errors
    /// `Gone` if it was deleted; else if the table or the bucket can't be read.
    pub async fn input(&self, id: JobId) -> Result<Value, StoreError> {
        self.payload(id, INPUT).await
    }

    /// The result of a completed job.
    ///
    /// # Errors
    /// As for [`Jobs::input`].
    pub async fn result(&self, id: JobId) -> Result<Value, StoreError> {
        self.payload(id, RESULT).await
    }

    async fn payload(&self, id: JobId, sk: &str) -> Result<Value, StoreError> {
        let gone = || StoreError::Gone(format!("{sk} of {id}"));
        let payload = self.table.get::<Payload>(&key(id, sk)).await?.ok_or_else(gone)?;
        let json = match payload {
            Payload { json: Some(json), .. } => json,
            Payload { payload_key: Some(object), .. } => bucket::read_text(self.bucket, &object).await?,
            _ => return Err(gone()),
        };
        serde_json::from_str(&json).map_err(StoreError::unreadable)
    }

    /// Stores a result, before the record says that the job is completed. Returns its place. A result under an earlier lease
    /// may be overwritten, so the object's key has the result's hash.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn put_result(&self, job: &JobRecord, result: &Value) -> Result<JobResult, StoreError> {
        let json = serde_json::to_string(result).map_err(StoreError::unreadable)?;
        let size_bytes = json.len() as u64;
        let result_key = if json.len() > RESULT_INLINE_MAX_BYTES {
            let hash = hex(Sha256::digest(&json));
            Some(format!("jobs/{}/result-{}", job.id, &hash[..HASH_CHARS]))
        } else {
            None
        };
        let payload = match &result_key {
            None => Payload { json: Some(json), payload_key: None },
            Some(object) => {
                self.bucket.put(object, "application/json", json.into_bytes()).await?;
                Payload { json: None, payload_key: Some(object.clone()) }
            }
        };
        let expires = ends_at(job).plus(TTL_GRACE).unix();
        let item = Item::new(key(job.id, RESULT), VERSION, &payload)?.expiring(expires);
        self.table.put(item, Condition::Always).await?;
        Ok(JobResult { size_bytes, result_key })
    }

    /// Deletes a job's input and result with their objects: those that the record names, and those of a submission that came
    /// second, or of a result after whose write its process has died.
    pub(super) async fn delete_payloads(&self, id: JobId, work: Option<&JobWork>) -> Result<(), StoreError> {
        let mut objects: BTreeSet<String> = BTreeSet::new();
        if let Some(work) = work {
            objects.extend(work.objects.iter().cloned());
            objects.extend(work.result.as_ref().and_then(|result| result.result_key.clone()));
        }
        for sk in [INPUT, RESULT] {
            let payload = self.table.get::<Payload>(&key(id, sk)).await?;
            objects.extend(payload.and_then(|payload| payload.payload_key));
        }
        for object in &objects {
            self.bucket.delete(object).await?;
        }
        self.table.delete(key(id, INPUT)).await?;
        self.table.delete(key(id, RESULT)).await
    }

    /// Deletes a submission, by the hash of its text.
    pub(super) async fn delete_submission(&self, hash: &str) -> Result<(), StoreError> {
        self.table.delete(submission_key(hash)).await
    }
}

/// The time at which an open job ends, complete or not.
fn last_end(job: &JobRecord) -> Timestamp {
    job.work.as_ref().map_or(job.created_at, |work| work.expires_at)
}

/// SHA-256 of an input, as JSON, and of the options beside it.
fn body_hash(input: &str, options: &Value) -> String {
    let digest = Sha256::new_with_prefix(input);
    let options = if options.is_null() { String::new() } else { format!("\0{options}") };
    hex(digest.chain_update(options).finalize())
}

/// The hash of the text of a submission, which may be long, and is its client's.
fn submission_hash(owner: Owner, text: &str) -> String {
    hex(Sha256::digest(format!("{}|{}|{text}", owner.user, owner.organisation)))
}

fn submission_key(hash: &str) -> Key {
    Key::new(format!("JOBKEY#{hash}"), META)
}
