//! Things of owners, and the paths that name them.

use std::time::Duration;

use futures::StreamExt as _;
use hearth_domain::{
    AccessKeyId, Artifact, ArtifactId, BatchDialect, BatchEndpoint, BatchId, CredentialId, CredentialKind,
    CredentialOwner, DefinitionId, DefinitionKind, ErasureId, FileId, InviteId, JobId, LoginId, MemberRole,
    Message, MessageBatchId, NodeId, OrganisationId, Owner, Role, Run, RunId, Secret, Session, SessionId,
    SessionMessageId, TeamId, Timestamp, TokenId, UserId, WebhookId,
};
use hearth_store::{
    Store,
    access_keys::AccessKeyRecord,
    artifacts::ArtifactRecord,
    batches::BatchRecord,
    conversations::Conversation,
    files::{FileQuota, FileRecord},
    invites::InviteRecord,
    jobs::JobRecord,
    logins::LoginRecord,
    nodes::NodeRecord,
    organisations::TeamRecord,
    provider_credentials::{CredentialRecord, context},
    tokens::TokenRecord,
    webhooks::WebhookRecord,
};

use super::people::expect;
use crate::records::{definition_record, first_version, upload_record, webhook_record};

/// The id in a path of a model, a provider or a file that isn't there.
const UNKNOWN_NAME: &str = "no-such-name";

/// Ids of things, each of its own kind.
#[derive(Debug, Clone)]
pub struct Things {
    user: String,
    organisation: String,
    run: String,
    artifact: String,
    job: String,
    file: String,
    batch: String,
    message_batch: String,
    token: String,
    access_key: String,
    team: String,
    login: String,
    invite: String,
    erasure: String,
    user_key: String,
    organisation_key: String,
    node: String,
    session: String,
    session_message: String,
    webhook: String,
    schema: String,
    template: String,
}

/// The owner of the things that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ownership {
    /// Nobody, or the gateway: there is no id, or that of a model or a provider.
    None,
    /// An organisation: its members may share it.
    Organisation,
    /// A user.
    User,
}

/// A path parameter of a kind that the matrix doesn't know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown(pub String);

impl Things {
    /// Ids that nothing has.
    #[must_use]
    pub fn of_nobody() -> Self {
        Self {
            user: UserId::new().to_string(),
            organisation: OrganisationId::new().to_string(),
            run: RunId::new().to_string(),
            artifact: ArtifactId::new().to_string(),
            job: JobId::new().to_string(),
            file: FileId::new().to_string(),
            batch: BatchId::new().to_string(),
            message_batch: MessageBatchId::new().to_string(),
            token: TokenId::new().to_string(),
            access_key: AccessKeyId::new().to_string(),
            team: TeamId::new().to_string(),
            login: LoginId::new().to_string(),
            invite: InviteId::new().to_string(),
            erasure: ErasureId::new().to_string(),
            user_key: CredentialId::new().to_string(),
            organisation_key: CredentialId::new().to_string(),
            node: NodeId::new().to_string(),
            session: SessionId::new().to_string(),
            session_message: SessionMessageId::with_seq(1).to_string(),
            webhook: WebhookId::new().to_string(),
            schema: DefinitionId::new(DefinitionKind::Schema).to_string(),
            template: DefinitionId::new(DefinitionKind::Template).to_string(),
        }
    }

    /// Ids that nothing has, in an organisation that is there.
    #[must_use]
    pub fn in_organisation(organisation: OrganisationId) -> Self {
        Self { organisation: organisation.to_string(), ..Self::of_nobody() }
    }

    /// Creates things of an owner, one of each kind.
    ///
    /// # Panics
    /// If the store refuses it.
    pub async fn create(store: &Store, owner: Owner) -> Self {
        let Owner { user, organisation } = owner;
        let run = Run { organisation: Some(organisation), ..Run::example(user) };
        expect(store.runs().begin(&run).await, "a run");
        let messages = vec![Message::new(Role::User, "Hi")];
        let conversation = Conversation { messages, ..Conversation::default() };
        expect(store.conversations().put(run.id, owner, &conversation).await, "a conversation");
        let artifact = artifact(store, owner, run.id).await;
        let token =
            TokenRecord { name: "thing".to_owned(), ..TokenRecord::new(RunId::new().to_string(), owner) };
        expect(store.tokens().create(&token).await, "a token");
        let access_key = AccessKeyRecord {
            id: AccessKeyId::new(),
            hash: RunId::new().to_string(),
            owner: user,
            organisation,
            name: "thing".to_owned(),
            prefix: String::new(),
            models: vec!["tiny-chat".to_owned()],
            created_at: Timestamp::now(),
            expires_at: None,
            revoked_at: None,
        };
        expect(store.access_keys().create(&access_key).await, "an access key");
        let team = TeamRecord::new(organisation, "Things");
        expect(store.organisations().create_team(&team).await, "a team");
        let node = NodeRecord::new(NodeId::new(), owner, "thing");
        expect(store.nodes().put(&node).await, "a node");
        let job = JobRecord::new_download(JobId::new(), owner, node.id, "hf:owner/repo");
        expect(store.jobs().create(&job).await, "a job");
        let (login, invite) = (login(owner), invite(owner));
        expect(store.logins().create(&login).await, "a login");
        expect(store.invites().create(&invite).await, "an invitation");
        let mut session = Session::new(owner);
        expect(store.sessions().create(&mut session).await, "a session");
        Self {
            user: user.to_string(),
            organisation: organisation.to_string(),
            run: run.id.to_string(),
            artifact: artifact.to_string(),
            job: job.id.to_string(),
            file: file(store, owner).await.to_string(),
            batch: batch(store, owner, BatchDialect::OpenAi).await.to_string(),
            message_batch: MessageBatchId::from(batch(store, owner, BatchDialect::Anthropic).await)
                .to_string(),
            token: token.id.to_string(),
            access_key: access_key.id.to_string(),
            team: team.id.to_string(),
            login: login.id.to_string(),
            invite: invite.id.to_string(),
            node: node.id.to_string(),
            session: session.id.to_string(),
            webhook: webhook(store, owner).await.to_string(),
            schema: definition(store, owner, DefinitionKind::Schema).await.to_string(),
            template: definition(store, owner, DefinitionKind::Template).await.to_string(),
            user_key: provider_key(store, CredentialOwner::User(user), owner).await.to_string(),
            organisation_key: provider_key(store, CredentialOwner::Organisation(organisation), owner)
                .await
                .to_string(),
            ..Self::of_nobody()
        }
    }

    /// The path with these things in place of its parameters, and the narrowest owner of one of them.
    ///
    /// # Errors
    /// A parameter of an unknown kind.
    pub fn path(&self, template: &str) -> Result<(String, Ownership), Unknown> {
        let (mut path, mut ownership, mut before) = (String::new(), Ownership::None, "");
        let is_of_users = template.starts_with("/v1/users/");
        for segment in template.trim_start_matches('/').split('/') {
            path.push('/');
            let Some((name, rest)) = segment.strip_prefix('{').and_then(|segment| segment.split_once('}'))
            else {
                path.push_str(segment);
                before = segment;
                continue;
            };
            let own = if is_of_users { Ownership::User } else { Ownership::Organisation };
            let (value, owner): (&str, _) = match (before, name) {
                ("requests" | "responses", _) => (&self.run, Ownership::User),
                ("sessions" | "conversations", _) => (&self.session, Ownership::User),
                ("branches", _) => (UNKNOWN_NAME, Ownership::None),
                ("messages" | "items", _) => (&self.session_message, Ownership::User),
                ("artifacts", _) => (&self.artifact, Ownership::User),
                ("jobs", _) => (&self.job, Ownership::User),
                ("job-pauses", _) => ("batch", Ownership::None),
                ("batches", _) if template.starts_with("/v1/messages/") => {
                    (&self.message_batch, Ownership::User)
                }
                ("batches", _) => (&self.batch, Ownership::User),
                ("files" | "uploads", _) => (&self.file, Ownership::User),
                ("tokens", _) => (&self.token, own),
                ("access-keys", _) => (&self.access_key, own),
                ("logins", _) => (&self.login, Ownership::User),
                ("organisations", _) => (&self.organisation, Ownership::Organisation),
                ("users" | "members", _) => (&self.user, Ownership::Organisation),
                ("teams", _) => (&self.team, Ownership::Organisation),
                ("invites", _) => (&self.invite, Ownership::Organisation),
                ("erasures", _) => (&self.erasure, Ownership::None),
                ("provider-keys", _) if template.starts_with("/v1/organisations/") => {
                    (&self.organisation_key, Ownership::Organisation)
                }
                ("provider-keys", _) => (&self.user_key, Ownership::User),
                ("nodes", _) => (&self.node, Ownership::Organisation),
                // Of the routes for nodes, which no user's credential is for.
                ("runs" | "calls", _) => (UNKNOWN_NAME, Ownership::None),
                ("limits", "kind") => ("user", Ownership::Organisation),
                ("limits", _) => (&self.user, Ownership::Organisation),
                ("versions", _) => ("1", Ownership::None),
                ("schemas", _) => (&self.schema, Ownership::User),
                ("templates", _) => (&self.template, Ownership::User),
                ("labels", _) => ("production", Ownership::None),
                ("webhooks", _) => (&self.webhook, Ownership::User),
                ("deliveries", _) => ("evt_01J9ZX5V2QH8N4T6W0C3M7K1RB", Ownership::User),
                ("docs", _) => ("index.html", Ownership::None),
                ("models" | "providers", _) => (UNKNOWN_NAME, Ownership::None),
                _ => return Err(Unknown(format!("{{{name}}} of {template}"))),
            };
            path.push_str(value);
            path.push_str(rest);
            ownership = ownership.max(owner);
        }
        Ok((path, ownership))
    }
}

async fn artifact(store: &Store, owner: Owner, run: RunId) -> ArtifactId {
    let artifact = Artifact {
        id: ArtifactId::new(),
        media_type: "image/png".to_owned(),
        size_bytes: 1,
        sha256: String::new(),
        revised_prompt: None,
        expires_at: in_an_hour(),
        link: String::new(),
    };
    let id = artifact.id;
    let (organisation, created_at) = (Some(owner.organisation), Timestamp::now());
    let record = ArtifactRecord { artifact, owner: owner.user, organisation, run, created_at };
    expect(store.artifacts().put(&record, vec![1]).await, "an artifact");
    id
}

async fn definition(store: &Store, owner: Owner, kind: DefinitionKind) -> DefinitionId {
    let record = definition_record(owner, kind, "thing");
    let content = match kind {
        DefinitionKind::Schema => r#"{"type": "object"}"#,
        DefinitionKind::Template => r#"{"messages": [{"role": "user", "content": "Hi"}]}"#,
    };
    expect(store.definitions().create(&record, &first_version(owner), content).await, "a definition");
    record.id
}

async fn batch(store: &Store, owner: Owner, dialect: BatchDialect) -> BatchId {
    let input = (FileId::new(), 1);
    let batch = BatchRecord::new(owner, dialect, BatchEndpoint::Messages, input, Duration::from_secs(86_400));
    expect(store.batches().create(&batch).await, "a batch");
    batch.id
}

async fn file(store: &Store, owner: Owner) -> FileId {
    let record = FileRecord { upload_ends_at: Some(in_an_hour()), ..upload_record(owner, 1) };
    let quota = FileQuota { max_bytes: u64::MAX, max_count: u64::MAX };
    assert!(expect(store.files().begin(&record, quota).await, "an upload"), "too many uploads");
    let bytes = futures::stream::iter([Ok("x".into())]).boxed();
    expect(store.files().write(record.id, "text/plain", bytes).await, "the bytes of a file");
    expect(store.files().finish(&record, quota, quota).await, "a file");
    record.id
}

fn login(owner: Owner) -> LoginRecord {
    let now = Timestamp::now();
    LoginRecord {
        id: LoginId::new(),
        user: owner.user,
        organisation: owner.organisation,
        method: "password".to_owned(),
        client: None,
        address: None,
        created_at: now,
        refreshed_at: now,
        expires_at: in_an_hour(),
        refresh_hash: RunId::new().to_string(),
        previous_hash: String::new(),
        nonce: String::new(),
        tag_key: String::new(),
        ended_at: None,
        end_reason: None,
    }
}

fn invite(owner: Owner) -> InviteRecord {
    InviteRecord {
        id: InviteId::new(),
        hash: RunId::new().to_string(),
        organisation: owner.organisation,
        role: MemberRole::Viewer,
        teams: Vec::new(),
        email: None,
        invited_by: owner.user,
        created_at: Timestamp::now(),
        expires_at: in_an_hour(),
        conflicts: 0,
    }
}

async fn provider_key(store: &Store, holder: CredentialOwner, owner: Owner) -> CredentialId {
    let (id, now) = (CredentialId::new(), Timestamp::now());
    let secret = Secret::new("sk-of-the-matrix".to_owned());
    let sealed = expect(store.seal(&context(holder, id), &secret).await, "a sealed key");
    let record = CredentialRecord {
        id,
        owner: holder,
        organisation: owner.organisation,
        created_by: owner.user,
        name: "thing".to_owned(),
        // No example of the document names it.
        provider: "deepseek".to_owned(),
        kind: CredentialKind::ApiKey,
        vendor: None,
        base_url: None,
        hint: String::new(),
        sealed,
        secret_id: CredentialId::new(),
        expires_at: None,
        lease: String::new(),
        created_at: now,
        updated_at: now,
        verified: None,
    };
    expect(store.provider_credentials().create(&record).await, "a provider's key");
    id
}

async fn webhook(store: &Store, owner: Owner) -> WebhookId {
    let record = expect(webhook_record(store, owner).await, "the secrets of a webhook");
    // Nothing in the matrix is such an event.
    let record = WebhookRecord { events: vec!["budget.threshold".to_owned()], ..record };
    expect(store.webhooks().create(&record).await, "a webhook");
    record.id
}

fn in_an_hour() -> Timestamp {
    Timestamp::now().plus(Duration::from_secs(3600))
}
