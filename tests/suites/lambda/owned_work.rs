//! Work of a user in the stores: a definition, a batch with a part, a job with a long input, and the request of a run.

use std::{collections::BTreeMap, time::Duration};

use hearth_domain::{
    BatchDialect, BatchEndpoint, DefinitionId, DefinitionKind, FileId, Generation, JobId, JobKind, Message,
    Owner, RevisionId, Role, RunId, Sampling, SemanticVersion, TextTask, Timestamp, Visibility,
};
use hearth_store::{
    Store,
    batches::BatchRecord,
    definitions::{DefinitionRecord, DefinitionVersion},
    jobs::{JobRecord, JobWork, NewWork},
};
use serde_json::json;

const WORK_TTL: Duration = Duration::from_secs(3600);

/// Stores them for an owner; `run` is a run of the owner's, and `text` is in all of them.
pub(crate) async fn plant(store: &Store, owner: Owner, run: RunId, text: &str) {
    let now = Timestamp::now();
    let definition = DefinitionRecord {
        id: DefinitionId::new(DefinitionKind::Schema),
        owner: owner.user,
        organisation: owner.organisation,
        name: "receipt".to_owned(),
        description: Some(text.to_owned()),
        tags: Vec::new(),
        visibility: Visibility::Private,
        team: None,
        latest: SemanticVersion::FIRST,
        version_count: 1,
        labels: BTreeMap::new(),
        created_at: now,
        updated_at: now,
        revision: RevisionId::new(),
        deleted: false,
    };
    let version = DefinitionVersion {
        version: SemanticVersion::FIRST,
        message: Some(text.to_owned()),
        author: "tok_1".to_owned(),
        sha256: "00".to_owned(),
        created_at: now,
    };
    store.definitions().create(&definition, &version, "{}").await.unwrap();

    let mut batch =
        BatchRecord::new(owner, BatchDialect::OpenAi, BatchEndpoint::Messages, (FileId::new(), 7), WORK_TTL);
    batch.output.tail = Some("output-00000-a".to_owned());
    store.batches().put_part(batch.id, "output-00000-a", text.as_bytes().to_vec()).await.unwrap();
    store.batches().create(&batch).await.unwrap();

    // A long input is an object.
    let input = json!({ "prompt": text.repeat(16 << 10) });
    let work = JobWork::new(3, now, now.plus(WORK_TTL), WORK_TTL);
    let job = JobRecord::new_work(JobId::new(), owner, JobKind::Generate, work);
    store.jobs().submit(NewWork { job, input: &input, dedupe: None }).await.unwrap();

    let task = TextTask::new(vec![Message::new(Role::User, text)], Sampling::default());
    store.run_requests().put(run, owner, &Generation::new(None, task)).await.unwrap();
}
