//! Users under the functions: an invitation, a registration, another password, an export, and an erasure that `sweep` carries out.

use std::time::Duration;

use hearth_domain::{
    Artifact, ArtifactId, DeliveryState, ErasureId, InviteId, JobId, MemberRole, Message, NodeId,
    NodeTransport, OrganisationId, Owner, Role, Run, RunId, RunState, Session, SessionMessage,
    SessionMessageId, Timestamp, UserId, WebhookState, WebhookVisibility,
};
use hearth_store::{
    Store,
    artifacts::ArtifactRecord,
    cached_answers::CachedFacts,
    invites::InviteRecord,
    jobs::JobRecord,
    nodes::NodeRecord,
    organisations::{MemberRecord, OrganisationRecord, TeamRecord},
    tokens::TokenRecord,
};
use hearth_tests::{Cloud, Person};
use lambda_emulator::{Emulator, Invocation};
use serde_json::{Value, json};

use crate::{Placeholders, files, invoke, of_operator, owned_work, relay, webhooks};

const ACCOUNTS: &str = "hearth-fn-accounts";
const GENERATE: &str = "hearth-fn-generate";
/// The event of a schedule.
pub(crate) const TICK: &str = r#"{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}"#;
/// Words that only the erased user's data has.
const PLANTED: [&str; 3] = ["ada.planted@example.org", "plantedname", "planted-consent"];

/// Sends a sample with another body, and expects this status.
async fn send(
    function: &Emulator,
    values: &Placeholders,
    sample: &str,
    body: &Value,
    status: u16,
) -> Invocation {
    let mut event = values.event(sample);
    event["body"] = body.to_string().into();
    expect(function, event, status).await
}

async fn expect(function: &Emulator, event: Value, status: u16) -> Invocation {
    let answer = invoke(function, &event).await;
    let body = String::from_utf8_lossy(&answer.body()).into_owned();
    assert_eq!(answer.status.as_u16(), status, "{} {}: {body}", event["httpMethod"], event["path"]);
    answer
}

/// Sends a sample with another id in its path, and expects this status.
async fn send_to(
    function: &Emulator,
    values: &Placeholders,
    sample: &str,
    id: &str,
    status: u16,
) -> Invocation {
    let mut event = values.event(sample);
    let path = event["resource"].as_str().unwrap().replace("{id}", id);
    (event["path"], event["pathParameters"]) = (path.into(), json!({"id": id}));
    expect(function, event, status).await
}

/// Invites and registers a user, who sets another password by a code and signs in with it. Returns their placeholders.
async fn planted_user(accounts: &Emulator, operator: &Placeholders) -> Placeholders {
    let invite = json!({"role": "developer", "email": PLANTED[0]});
    let invite = send(accounts, operator, "post_v1.users.invites.json", &invite, 201).await.json().unwrap();
    let registration = json!({
        "code": invite["code"], "email": PLANTED[0], "name": PLANTED[1], "password": "a sentence of mine",
    });
    let user =
        send(accounts, operator, "post_v1.users.register.json", &registration, 201).await.json().unwrap();
    let id = user["id"].as_str().unwrap();
    let code = send_to(accounts, operator, "post_v1.users.id.password-reset.json", id, 201).await;
    let password = "another sentence of mine";
    let reset = json!({"code": code.json().unwrap()["code"], "password": password});
    send(accounts, operator, "post_v1.users.password-reset.json", &reset, 204).await;
    let login = json!({"email": PLANTED[0], "password": password});
    let login = send(accounts, operator, "post_v1.users.login.json", &login, 200).await.json().unwrap();
    let token = login["access_token"].as_str().unwrap().to_owned();
    let values = Placeholders { token, user: id.to_owned(), ..operator.clone() };
    let moved = json!({"email": format!("new.{}", PLANTED[0]), "password": password});
    send(accounts, &values, "patch_v1.users.me.json", &moved, 200).await;
    let consent = json!({"document": PLANTED[2], "version": "1"});
    send(accounts, &values, "post_v1.users.me.consents.json", &consent, 201).await;
    expect(accounts, values.event("get_v1.users.me.consents.json"), 200).await;
    values
}

/// Begins the erasure of the user. Returns its id.
async fn erase(accounts: &Emulator, values: &Placeholders) -> String {
    let password = json!({"password": "another sentence of mine"});
    let erasure = send(accounts, values, "delete_v1.users.me.json", &password, 202).await.json().unwrap();
    assert_eq!(erasure["status"], "in_progress", "{erasure}");
    erasure["id"].as_str().unwrap().to_owned()
}

/// Everything that a person does with the function `accounts`: each permission of its role for users is needed.
pub(crate) async fn live_through(accounts: &Emulator, operator: &Placeholders) {
    let values = planted_user(accounts, operator).await;
    let id = erase(accounts, &values).await;
    send_to(accounts, operator, "get_v1.users.erasures.id.json", &id, 200).await;
}

async fn items(store: &Store) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.database().scan(after.as_ref()).await.unwrap();
        all.extend(page.items.iter().map(|item| format!("{item:?}")));
        match page.next {
            Some(next) => after = Some(next.key),
            None => return all,
        }
    }
}

/// Gives the user a run with a long text, an artifact, a cached answer, a token, two nodes, an organisation of their own, and one with another
/// owner, whose id it returns.
async fn seed(cloud: &Cloud, user: UserId) -> OrganisationId {
    let store = cloud.store();
    let (own, shared) = (OrganisationId::new(), OrganisationId::new());
    let owner = |organisation, user| MemberRecord::new(organisation, user, MemberRole::Owner);
    let record = OrganisationRecord::new(own, PLANTED[1]);
    store.organisations().create(&record, &owner(own, user)).await.unwrap();
    store.organisations().create_team(&TeamRecord::new(own, PLANTED[1])).await.unwrap();
    let created_at = Timestamp::now();
    let expires_at = created_at.plus(Duration::from_secs(3600));
    let invite = InviteRecord {
        id: InviteId::new(),
        hash: "planted".to_owned(),
        organisation: own,
        role: MemberRole::Viewer,
        teams: Vec::new(),
        email: Some(PLANTED[0].to_owned()),
        invited_by: user,
        created_at,
        expires_at,
        conflicts: 0,
    };
    store.invites().create(&invite).await.unwrap();
    let record = OrganisationRecord::new(shared, "Shared");
    store.organisations().create(&record, &owner(shared, UserId::new())).await.unwrap();
    store.organisations().add_member(&record, &owner(shared, user)).await.unwrap();

    for organisation in [own, shared] {
        let node = NodeRecord::new(NodeId::new(), Owner { user, organisation }, PLANTED[1]);
        store.nodes().put(&node).await.unwrap();
        store.relay().set_transport(node.id, NodeTransport::Relay, "it is a test").await.unwrap();
        // Its run has a prompt of somebody.
        store.relay().assign(node.id, &relay::node_run(PLANTED[1])).await.unwrap();
    }

    let id = ArtifactId::new();
    let artifact = Artifact {
        id,
        media_type: "image/png".to_owned(),
        size_bytes: 5,
        sha256: String::new(),
        revised_prompt: Some(PLANTED[1].to_owned()),
        expires_at,
        link: String::new(),
    };
    let artifact =
        ArtifactRecord { artifact, owner: user, organisation: Some(own), run: RunId::new(), created_at };
    store.artifacts().put(&artifact, b"bytes".to_vec()).await.unwrap();
    files::plant(cloud, Owner { user, organisation: own }, 5, None).await;
    // Another user has left an organisation, and a file in it.
    let left = Owner { user: UserId::new(), organisation: OrganisationId::new() };
    files::plant(cloud, left, 5, None).await;
    store.files().end_owner(left).await.unwrap();
    let facts = CachedFacts {
        owner: user,
        requested_model: PLANTED[1].to_owned(),
        model: "m".to_owned(),
        provider: "p".to_owned(),
        expires: expires_at,
    };
    store.cached_answers().put("planted", &facts, PLANTED[1]).await.unwrap();
    let token = TokenRecord {
        name: PLANTED[1].to_owned(),
        ..TokenRecord::new("h".to_owned(), Owner { user, organisation: own })
    };
    store.tokens().create(&token).await.unwrap();
    let (holder, own_events) = (Owner { user, organisation: own }, WebhookVisibility::User);
    let webhook = webhooks::store_webhook(store, holder, own_events, WebhookState::Active).await;
    webhooks::store_delivery(store, &webhook, DeliveryState::Pending).await;
    // A long text is an object.
    let text = PLANTED[1].repeat(4 << 10);
    let job =
        JobRecord::new_download(JobId::new(), Owner { user, organisation: own }, NodeId::new(), PLANTED[1]);
    store.jobs().create(&job).await.unwrap();
    let mut message = SessionMessage::new(Message::new(Role::User, text.clone()));
    message.id = SessionMessageId::with_seq(1);
    let session = Session::new(Owner { user, organisation: own });
    store.sessions().import(&session, &[message]).await.unwrap();
    let run = Run { state: RunState::Completed, text, ..Run::example(user) };
    store.runs().record_ended(&run, &[]).await.unwrap();
    owned_work::plant(store, holder, run.id, PLANTED[1]).await;
    shared
}

/// Creates an organisation with the user as its only owner, and a viewer. Returns its id, and that of the viewer.
async fn leave_behind(store: &Store, user: UserId) -> (OrganisationId, UserId) {
    let record = OrganisationRecord::new(OrganisationId::new(), "Left");
    let owner = MemberRecord::new(record.id, user, MemberRole::Owner);
    store.organisations().create(&record, &owner).await.unwrap();
    let viewer = Person::in_organisation(store, record.id, MemberRole::Viewer).await;
    (record.id, viewer.user)
}

#[tokio::test]
async fn sweep_erases_a_user_who_has_exported_everything() {
    let cloud = Cloud::start().await;
    let (accounts, generate) = (cloud.function(ACCOUNTS).await, cloud.function(GENERATE).await);
    let operator = of_operator(&cloud).await;
    let values = planted_user(&accounts, &operator).await;
    let run = expect(&generate, values.event("post_v1.chat.completions.json"), 200).await;
    let run = run.headers["x-request-id"].to_str().unwrap().to_owned();
    let export = expect(&generate, values.event("get_v1.users.me.export.json"), 200).await;
    assert_eq!(export.headers["content-type"], "application/zip");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(export.body().to_vec())).unwrap();
    let runs = std::io::read_to_string(zip.by_name("runs.jsonl").unwrap()).unwrap();
    assert!(runs.contains(&run), "{runs}");

    let organisation = seed(&cloud, values.user.parse().unwrap()).await;
    let id = erase(&accounts, &values).await;
    // As if all its owners had asked for it at once.
    let (left_behind, viewer) = leave_behind(cloud.store(), values.user.parse().unwrap()).await;
    let sweep = cloud.function("hearth-fn-sweep").await;
    let tick = serde_json::from_str(TICK).unwrap();
    sweep.trigger(&tick).await.unwrap_or_else(|failure| panic!("{failure}"));
    let report =
        send_to(&accounts, &operator, "get_v1.users.erasures.id.json", &id, 200).await.json().unwrap();
    assert_eq!(
        report["status"], "in_progress",
        "the last pass comes after every request must have ended: {report}"
    );
    let deleted = &report["deleted"];
    assert_eq!(
        (&deleted["runs"], &deleted["artifacts"], &deleted["tokens"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!((&deleted["sessions"], &deleted["files"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!((&deleted["cached_answers"], &deleted["organisations"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!((&deleted["memberships"], &deleted["nodes"]), (&json!(3), &json!(2)), "{report}");

    let store = cloud.store();
    let id: ErasureId = id.parse().unwrap();
    let mut erasure = store.erasures().get(id).await.unwrap().unwrap();
    erasure.last_pass_after = Timestamp::now();
    store.erasures().save(&mut erasure).await.unwrap();
    sweep.trigger(&tick).await.unwrap_or_else(|failure| panic!("{failure}"));
    let erasure = store.erasures().get(id).await.unwrap().unwrap();
    assert!(erasure.completed_at.is_some(), "{erasure:?}");
    assert!(store.erasures().open().await.unwrap().is_empty());
    let left = store.organisations().get(organisation).await.unwrap().unwrap();
    assert_eq!(left.owners, 1, "the other owner stays");
    let heir = store.organisations().member(left_behind, viewer).await.unwrap().unwrap();
    assert_eq!(heir.role, MemberRole::Owner, "the organisation has no owner");
    assert_eq!(store.organisations().get(left_behind).await.unwrap().unwrap().owners, 1);
    let unused = cloud.unused_permissions("hearth-fn-sweep");
    let erases = |permission: &&String| {
        let others = [
            "Logs",
            "RunsOf",
            "Audit",
            "Secret",
            "Texts: s3:PutObject",
            "OpenRuns",
            " Runs:",
            " Relay",
            "Sockets",
            "Rings",
            "EventOutbox",
            "Presence",
            "SilentNodes",
            "AnnouncedBudgets",
            "NewJobs",
            "DueJobs",
            "JobPauses",
            "JobQueues",
            "Webhooks: dynamodb:GetItem",
            "Deliveries: dynamodb:PutItem",
        ];
        // These need a user of an identity provider, with failed logins, a provider's key and an old token.
        let rare = ["CRED#", "IDENTITY#", "LOGINS#", "USED#"];
        !others.iter().chain(&rare).any(|part| permission.contains(part))
    };
    let unused: Vec<&String> = unused.iter().filter(erases).collect();
    assert!(unused.is_empty(), "no step of an erasure needs these permissions: {unused:#?}");
    for item in items(store).await {
        let is_left = PLANTED.iter().any(|word| item.contains(word)) || item.contains(&format!("RUN#{run}"));
        assert!(!is_left, "{item}");
    }
}
