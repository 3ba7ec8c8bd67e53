//! Records of the store, as tests plant them.

use std::collections::BTreeMap;

use hearth_domain::{
    DefinitionId, DefinitionKind, DeliveryState, EventId, EventKind, FileId, FilePurpose, FileState, Owner,
    RevisionId, Secret, SemanticVersion, Timestamp, Visibility, WebhookId, WebhookState, WebhookTarget,
    WebhookVisibility,
};
use hearth_store::{
    Store, StoreError,
    definitions::{DefinitionRecord, DefinitionVersion},
    files::FileRecord,
    webhooks::{DeliveryRecord, EventFilter, WebhookRecord, context},
};

/// A private definition of an owner, without a version.
#[must_use]
pub fn definition_record(owner: Owner, kind: DefinitionKind, name: &str) -> DefinitionRecord {
    let now = Timestamp::now();
    DefinitionRecord {
        id: DefinitionId::new(kind),
        owner: owner.user,
        organisation: owner.organisation,
        name: name.to_owned(),
        description: None,
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
    }
}

/// The first version of a definition of an owner.
#[must_use]
pub fn first_version(owner: Owner) -> DefinitionVersion {
    DefinitionVersion {
        version: SemanticVersion::FIRST,
        message: None,
        author: owner.user.to_string(),
        sha256: String::new(),
        created_at: Timestamp::now(),
    }
}

/// An upload of a text file that has no end.
#[must_use]
pub fn upload_record(owner: Owner, size_bytes: u64) -> FileRecord {
    FileRecord {
        id: FileId::new(),
        owner: owner.user,
        organisation: owner.organisation,
        state: FileState::Uploading,
        name: "thing.txt".to_owned(),
        purpose: FilePurpose::UserData,
        media_type: "text/plain".to_owned(),
        size_bytes,
        created_at: Timestamp::now(),
        expires_at: None,
        upload_ends_at: None,
        announced_bytes: 0,
        put_ends_at: None,
    }
}

/// An active webhook for all events of its owner, with secrets that the store has sealed.
///
/// # Errors
/// If the store can't seal.
pub async fn webhook_record(store: &Store, owner: Owner) -> Result<WebhookRecord, StoreError> {
    let (id, now) = (WebhookId::new(), Timestamp::now());
    let sealed = store.seal(&context(owner.organisation, id), &Secret::new("{}")).await?;
    Ok(WebhookRecord {
        id,
        organisation: owner.organisation,
        user: owner.user,
        name: "thing".to_owned(),
        events: vec!["*".to_owned()],
        filter: EventFilter::default(),
        visibility: WebhookVisibility::User,
        target: WebhookTarget::Https,
        address: "https://receiver.example/".to_owned(),
        header_names: Vec::new(),
        sealed,
        previous_secret_until: None,
        batch: None,
        state: WebhookState::Active,
        state_reason: None,
        state_at: None,
        is_internal: false,
        expires_at: None,
        created_at: now,
        updated_at: now,
        revision: RevisionId::new(),
    })
}

/// A delivery of a failed run's event to a webhook, which waits in a lane.
#[must_use]
pub fn delivery_record(webhook: &WebhookRecord, event: EventId, lane: &str) -> DeliveryRecord {
    DeliveryRecord {
        webhook: webhook.id,
        organisation: webhook.organisation,
        event,
        kind: EventKind::RunFailed,
        subject: lane.to_owned(),
        payload: "{}".to_owned(),
        lane: lane.to_owned(),
        state: DeliveryState::Pending,
        attempts: 0,
        tries: Vec::new(),
        next_at: None,
        members: Vec::new(),
        sent_with: None,
        reason: None,
        claim: String::new(),
        claim_until: None,
        ended_at: None,
    }
}
