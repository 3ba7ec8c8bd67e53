//! Sessions, over all databases.

use std::{collections::HashSet, time::Duration};

use hearth_domain::{
    Message, OrganisationId, Owner, RevisionId, Role, RunId, Session, SessionBranch, SessionId,
    SessionMessage, SessionMessageId, SessionMessageState, SessionStatus, Timestamp, UserId,
};
use hearth_store::{
    Store, StoreError,
    database::{Key, Query, Sort},
    owned::OwnedEntry,
    sessions::{LeaseRequest, SessionChange, TurnLease, TurnLeaseOutcome},
};
use serde_json::json;

use crate::{on_all, world::World};

on_all! {
    session_is_read_by_its_owner_alone,
    changed_session_is_stored_under_its_revision_only,
    sessions_are_listed_by_last_use_in_pages,
    appended_messages_are_a_path_and_move_the_head,
    path_skips_the_messages_of_other_branches,
    long_body_is_stored_in_the_bucket_and_replaced,
    message_is_replaced_under_its_revision_only,
    many_messages_are_appended_in_order,
    turn_waits_for_the_lease_and_for_earlier_turns,
    lost_lease_appends_and_finishes_nothing,
    concurrent_rename_loses_neither_title_nor_message,
    concurrent_turns_append_everything_once,
    closed_session_expires_and_is_deleted_whole,
    imported_session_has_its_messages_and_is_imported_once,
    concurrent_imports_of_a_conversation_give_one_session,
    pages_of_large_messages_are_limited_by_bytes,
    deletion_ends_a_turn_and_leaves_nothing,
    entry_of_a_session_never_expires,
    sessions_of_a_member_who_leaves_are_closed,
}

const TTL: Duration = Duration::from_secs(600);

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

fn new_message(role: Role, text: &str) -> SessionMessage {
    SessionMessage::new(Message::new(role, text))
}

fn request(run: RunId) -> LeaseRequest {
    LeaseRequest { run, process: RevisionId::new(), is_sole_process: false, ttl: TTL }
}

async fn new_session(store: &Store) -> Session {
    let mut session = Session::new(owner());
    store.sessions().create(&mut session).await.unwrap();
    session
}

async fn lease(store: &Store, id: SessionId) -> TurnLease {
    match store.sessions().lease(id, &request(RunId::new())).await.unwrap() {
        TurnLeaseOutcome::Leased(lease) => lease,
        busy @ TurnLeaseOutcome::Busy { .. } => panic!("{busy:?}"),
    }
}

/// Appends a message to the session's head.
async fn say(store: &Store, session: &mut Session, text: &str) -> SessionMessage {
    let lease = lease(store, session.id).await;
    let (parent, messages) = (session.head, vec![new_message(Role::User, text)]);
    let change = SessionChange::default();
    let mut appended = store.sessions().append(&lease, session, parent, messages, &change).await.unwrap();
    store.sessions().release(&lease).await.unwrap();
    appended.remove(0)
}

fn texts(messages: &[SessionMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.message.content.as_str()).collect()
}

async fn session_is_read_by_its_owner_alone(world: World) {
    let store = &world.store();
    let mut session = Session::new(owner());
    session.title = Some("γειά".to_owned());
    session.metadata = [("a".to_owned(), "b".to_owned())].into();
    session.state_tokens = Some(json!({"cursor": [1, 2]}));
    store.sessions().create(&mut session).await.unwrap();
    assert!(matches!(store.sessions().create(&mut session).await, Err(StoreError::Conflict)));
    assert_eq!(store.sessions().get(session.id, session.owner()).await.unwrap(), Some(session.clone()));
    let elsewhere = Owner { organisation: OrganisationId::new(), ..session.owner() };
    for other in [owner(), elsewhere] {
        assert_eq!(store.sessions().get(session.id, other).await.unwrap(), None);
    }
    assert_eq!(store.sessions().get(SessionId::new(), session.owner()).await.unwrap(), None);
    let (owned, _) = store.owned().page(session.owner, None, 10).await.unwrap();
    assert_eq!(owned, [OwnedEntry::Session(session.id)]);
}

async fn changed_session_is_stored_under_its_revision_only(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let mut outdated = session.clone();
    session.title = Some("first".to_owned());
    store.sessions().update(&mut session).await.unwrap();
    outdated.title = Some("second".to_owned());
    let revision = outdated.revision;
    assert!(matches!(store.sessions().update(&mut outdated).await, Err(StoreError::Conflict)));
    assert_eq!(outdated.revision, revision);
    assert_eq!(store.sessions().read(session.id).await.unwrap(), Some(session.clone()));
    store.sessions().delete(&session).await.unwrap();
    assert!(matches!(store.sessions().update(&mut session).await, Err(StoreError::Conflict)));
}

async fn sessions_are_listed_by_last_use_in_pages(world: World) {
    let (store, owner) = (&world.store(), owner());
    let mut sessions = Vec::new();
    for minutes in [3, 1, 2, 1] {
        let at = Timestamp::from_unix(1_700_000_000 + minutes * 60);
        let mut session = Session { last_used_at: at, ..Session::new(owner) };
        store.sessions().create(&mut session).await.unwrap();
        sessions.push(session);
    }
    store.sessions().create(&mut Session::new(self::owner())).await.unwrap();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.sessions().page(owner, SessionStatus::Open, after, 1).await.unwrap();
        listed.extend(page.sessions.iter().map(|session| session.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    sessions.sort_by_key(|session| std::cmp::Reverse((session.last_used_at, session.id)));
    assert_eq!(listed, sessions.iter().map(|session| session.id).collect::<Vec<_>>());

    // A use moves a session to the beginning, and another state to another list.
    let mut oldest = sessions.pop().unwrap();
    say(store, &mut oldest, "again").await;
    let first = store.sessions().page(owner, SessionStatus::Open, None, 1).await.unwrap();
    assert_eq!(first.sessions[0].id, oldest.id);
    oldest.status = SessionStatus::Archived;
    store.sessions().update(&mut oldest).await.unwrap();
    let open = store.sessions().page(owner, SessionStatus::Open, None, 10).await.unwrap();
    assert_eq!((open.sessions.len(), open.next), (3, None));
    let archived = store.sessions().page(owner, SessionStatus::Archived, None, 10).await.unwrap();
    assert_eq!(archived.sessions, [oldest]);
}

async fn appended_messages_are_a_path_and_move_the_head(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let lease = lease(store, session.id).await;
    let mut pending = new_message(Role::Assistant, "");
    pending.state = SessionMessageState::Pending;
    let messages = vec![new_message(Role::User, "Hi"), pending];
    let change = SessionChange { automatic_title: Some("Hi".to_owned()), ..SessionChange::default() };
    let mut appended = store.sessions().append(&lease, &mut session, None, messages, &change).await.unwrap();
    assert_eq!((appended[0].id.seq(), appended[1].id.seq()), (1, 2));
    assert_eq!((appended[0].parent, appended[1].parent), (None, Some(appended[0].id)));
    assert_eq!(session.head, Some(appended[1].id));

    let answer = &mut appended[1];
    answer.message.content = "Hello".to_owned();
    answer.state = SessionMessageState::Complete;
    let tokens = SessionChange { state_tokens: Some(json!("t1")), ..SessionChange::default() };
    store.sessions().finish(&lease, &mut session, answer, &tokens).await.unwrap();
    store.sessions().release(&lease).await.unwrap();
    let stored = store.sessions().get(session.id, session.owner()).await.unwrap().unwrap();
    assert_eq!(stored, session);
    assert_eq!((stored.title.as_deref(), stored.is_title_automatic), (Some("Hi"), true));
    assert_eq!(stored.state_tokens, Some(json!("t1")));

    let path = store.sessions().path(session.id, session.head, 10).await.unwrap();
    assert_eq!((path.messages.clone(), path.before), (appended.clone(), None));
    let last = store.sessions().path(session.id, session.head, 1).await.unwrap();
    assert_eq!((texts(&last.messages), last.before), (vec!["Hello"], Some(appended[0].id)));
    let page = store.sessions().messages(session.id, 1, 10).await.unwrap();
    assert_eq!((texts(&page.messages), page.next), (vec!["Hello"], None));
    let forged = SessionMessageId::with_seq(1);
    assert_eq!(store.sessions().message(session.id, forged).await.unwrap(), None);
    assert_eq!(store.sessions().message(session.id, appended[0].id).await.unwrap(), Some(appended.remove(0)));
}

async fn path_skips_the_messages_of_other_branches(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let root = say(store, &mut session, "root").await;
    let mut trunk = vec!["root".to_owned()];
    for number in 0..70 {
        trunk.push(format!("trunk {number}"));
        say(store, &mut session, &trunk[number + 1]).await;
    }
    let trunk_head = session.head;
    session.branches.push(SessionBranch {
        name: "side".to_owned(),
        head: Some(root.id),
        created_at: Timestamp::now(),
    });
    session.branch = Some("side".to_owned());
    session.head = Some(root.id);
    store.sessions().update(&mut session).await.unwrap();
    let side = say(store, &mut session, "side").await;
    assert_eq!(session.branches[0].head, Some(side.id));
    let path = store.sessions().path(session.id, session.head, 200).await.unwrap();
    assert_eq!((texts(&path.messages), path.before), (vec!["root", "side"], None));
    let path = store.sessions().path(session.id, trunk_head, 200).await.unwrap();
    assert_eq!(texts(&path.messages), trunk);
}

async fn long_body_is_stored_in_the_bucket_and_replaced(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let long = "long ".repeat(40 << 10);
    let mut message = say(store, &mut session, &long).await;
    let read = store.sessions().message(session.id, message.id).await.unwrap().unwrap();
    assert_eq!(read.message.content, long);
    message.message.content = format!("{long}!");
    store.sessions().put_message(session.id, &mut message).await.unwrap();
    let path = store.sessions().path(session.id, session.head, 1).await.unwrap();
    assert_eq!(path.messages, [message.clone()]);
    message.message.content = "short".to_owned();
    store.sessions().put_message(session.id, &mut message).await.unwrap();
    assert_eq!(store.sessions().message(session.id, message.id).await.unwrap(), Some(message));
    store.sessions().delete(&session).await.unwrap();
    assert_eq!(store.sessions().read(session.id).await.unwrap(), None);
    assert!(store.sessions().messages(session.id, 0, 10).await.unwrap().messages.is_empty());
    assert!(store.owned().page(session.owner, None, 10).await.unwrap().0.is_empty());
}

async fn message_is_replaced_under_its_revision_only(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let mut message = say(store, &mut session, "first").await;
    let mut outdated = message.clone();
    message.message.content = "second".to_owned();
    store.sessions().put_message(session.id, &mut message).await.unwrap();
    let late = store.sessions().put_message(session.id, &mut outdated).await;
    assert!(matches!(late, Err(StoreError::Conflict)));
    assert_eq!(store.sessions().message(session.id, message.id).await.unwrap(), Some(message));
}

async fn many_messages_are_appended_in_order(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let lease = lease(store, session.id).await;
    let expected: Vec<String> = (0..200).map(|number| format!("message {number}")).collect();
    let messages = expected.iter().map(|text| new_message(Role::User, text)).collect();
    let change = SessionChange::default();
    store.sessions().append(&lease, &mut session, None, messages, &change).await.unwrap();
    let path = store.sessions().path(session.id, session.head, 1000).await.unwrap();
    assert_eq!(texts(&path.messages), expected);
    assert_eq!(session.last_seq, 200);
}

async fn turn_waits_for_the_lease_and_for_earlier_turns(world: World) {
    let store = &world.store();
    let session = new_session(store).await;
    let id = session.id;
    let mut runs: Vec<RunId> = (0..3).map(|_| RunId::new()).collect();
    runs.sort_unstable();
    let [first, second, third] = [request(runs[0]), request(runs[1]), request(runs[2])];
    let TurnLeaseOutcome::Leased(lease) = store.sessions().lease(id, &first).await.unwrap() else {
        panic!("the session is free");
    };
    assert_eq!(store.sessions().leased_by(id).await.unwrap(), Some(runs[0]));
    let busy = store.sessions().lease(id, &third).await.unwrap();
    assert!(matches!(busy, TurnLeaseOutcome::Busy { run, .. } if run == runs[0]), "{busy:?}");
    store.sessions().put_place(id, &second).await.unwrap();
    store.sessions().put_place(id, &third).await.unwrap();
    store.sessions().release(&lease).await.unwrap();
    assert_eq!(store.sessions().leased_by(id).await.unwrap(), None);
    let busy = store.sessions().lease(id, &third).await.unwrap();
    assert!(matches!(busy, TurnLeaseOutcome::Busy { run, .. } if run == runs[1]), "{busy:?}");
    let next = store.sessions().lease(id, &second).await.unwrap();
    assert!(matches!(next, TurnLeaseOutcome::Leased(next) if next.fence > lease.fence), "{next:?}");
    store.sessions().delete_place(id, runs[1]).await.unwrap();
    // A process that has the store for itself ignores the leases and places of dead ones.
    let alone = LeaseRequest { is_sole_process: true, ..third };
    assert!(matches!(store.sessions().lease(id, &alone).await.unwrap(), TurnLeaseOutcome::Leased(_)));
}

async fn lost_lease_appends_and_finishes_nothing(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let run = RunId::new();
    let expired = LeaseRequest { ttl: Duration::ZERO, ..request(run) };
    let TurnLeaseOutcome::Leased(lost) = store.sessions().lease(session.id, &expired).await.unwrap() else {
        panic!("the session is free");
    };
    let change = SessionChange::default();
    let messages = vec![new_message(Role::User, "before")];
    let mut appended = store.sessions().append(&lost, &mut session, None, messages, &change).await.unwrap();
    let held = lease(store, session.id).await;
    let late = vec![new_message(Role::User, "late")];
    let head = session.head;
    let refused = store.sessions().append(&lost, &mut session, head, late, &change).await;
    assert!(matches!(refused, Err(StoreError::Conflict)));
    appended[0].message.content = "late".to_owned();
    let refused = store.sessions().finish(&lost, &mut session, &mut appended[0], &change).await;
    assert!(matches!(refused, Err(StoreError::Conflict)));
    assert!(matches!(store.sessions().renew_lease(&lost, TTL).await, Err(StoreError::Conflict)));
    // It doesn't end the lease of the other turn.
    store.sessions().release(&lost).await.unwrap();
    assert_eq!(store.sessions().leased_by(session.id).await.unwrap(), Some(held.run));
    let path = store.sessions().path(session.id, session.head, 10).await.unwrap();
    assert_eq!(texts(&path.messages), ["before"]);
}

async fn concurrent_rename_loses_neither_title_nor_message(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let mut renamed = session.clone();
    renamed.title = Some("of the user".to_owned());
    store.sessions().update(&mut renamed).await.unwrap();
    let lease = lease(store, session.id).await;
    let change = SessionChange { automatic_title: Some("generated".to_owned()), ..SessionChange::default() };
    let messages = vec![new_message(Role::User, "Hi")];
    store.sessions().append(&lease, &mut session, None, messages, &change).await.unwrap();
    assert_eq!(session.title.as_deref(), Some("of the user"));
    assert_eq!(session.last_seq, 1);
    assert_eq!(store.sessions().read(session.id).await.unwrap(), Some(session));
}

async fn concurrent_turns_append_everything_once(world: World) {
    let store = &world.store();
    let id = new_session(store).await.id;
    let writer = |number: usize| async move {
        let request = request(RunId::new());
        let lease = loop {
            if let TurnLeaseOutcome::Leased(lease) = store.sessions().lease(id, &request).await.unwrap() {
                break lease;
            }
            tokio::task::yield_now().await;
        };
        let mut session = store.sessions().read(id).await.unwrap().unwrap();
        let parent = session.head;
        let messages =
            ["question", "answer"].map(|kind| new_message(Role::User, &format!("{kind} {number}")));
        let change = SessionChange::default();
        let appended =
            store.sessions().append(&lease, &mut session, parent, messages.into(), &change).await.unwrap();
        store.sessions().release(&lease).await.unwrap();
        appended.len()
    };
    let appended = futures::future::join_all((0..10).map(writer)).await;
    assert_eq!(appended.iter().sum::<usize>(), 20);
    let session = store.sessions().read(id).await.unwrap().unwrap();
    let path = store.sessions().path(session.id, session.head, 100).await.unwrap();
    let texts = texts(&path.messages);
    assert_eq!(texts.iter().collect::<HashSet<_>>().len(), 20, "{texts:?}");
    for turn in texts.chunks(2) {
        assert_eq!(turn[0].replace("question", "answer"), turn[1], "{texts:?}");
    }
}

async fn closed_session_expires_and_is_deleted_whole(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    say(store, &mut session, "Hi").await;
    let closed_at = Timestamp::from_unix(1_700_000_000);
    session.status = SessionStatus::Closed;
    session.closed_at = Some(closed_at);
    session.expires_at = Some(closed_at.plus(TTL));
    store.sessions().update(&mut session).await.unwrap();
    // Readers filter, as the deletion is late.
    assert_eq!(store.sessions().get(session.id, session.owner()).await.unwrap(), None);
    let listed = store.sessions().page(session.owner(), SessionStatus::Closed, None, 10).await.unwrap();
    assert!(listed.sessions.is_empty());
    assert!(store.sessions().expired(closed_at, 10).await.unwrap().is_empty());
    let expired = store.sessions().expired(Timestamp::now(), 10).await.unwrap();
    assert_eq!(expired, [session.clone()]);
    store.sessions().delete(&expired[0]).await.unwrap();
    assert!(store.sessions().expired(Timestamp::now(), 10).await.unwrap().is_empty());
    assert_eq!(store.sessions().read(session.id).await.unwrap(), None);
}

async fn imported_session_has_its_messages_and_is_imported_once(world: World) {
    let store = &world.store();
    let mut session = Session::new(owner());
    let messages: Vec<SessionMessage> = (1..=120)
        .map(|seq| {
            let mut message = new_message(Role::User, &format!("message {seq}"));
            message.id = SessionMessageId::with_seq(seq);
            message
        })
        .collect();
    session.head = messages.last().map(|last| last.id);
    session.last_seq = 120;
    store.sessions().import(&session, &messages).await.unwrap();
    assert!(matches!(store.sessions().import(&session, &messages).await, Err(StoreError::Conflict)));
    let page = store.sessions().messages(session.id, 0, 200).await.unwrap();
    assert_eq!((page.messages.len(), page.next), (120, None));
    let stored = store.sessions().read(session.id).await.unwrap().unwrap();
    assert!(stored.stored_bytes > 120 && stored.granted_bytes == Some(stored.stored_bytes), "{stored:?}");
    let counted =
        Session { stored_bytes: stored.stored_bytes, granted_bytes: stored.granted_bytes, ..session };
    assert_eq!(stored, counted);
}

async fn concurrent_imports_of_a_conversation_give_one_session(world: World) {
    let store = &world.store();
    let mut session = Session::new(owner());
    let id = session.id;
    let long = "long ".repeat(10 << 10);
    let messages = || -> Vec<SessionMessage> {
        let mut messages: Vec<SessionMessage> = Vec::new();
        for seq in 1..=60 {
            let mut message = new_message(Role::User, if seq % 20 == 0 { &long } else { "short" });
            message.id = SessionMessageId::imported(id, seq);
            message.parent = messages.last().map(|last| last.id);
            messages.push(message);
        }
        messages
    };
    session.head = Some(SessionMessageId::imported(id, 60));
    session.last_seq = 60;
    let (sessions, one, other) = (store.sessions(), messages(), messages());
    let (one, other) = tokio::join!(sessions.import(&session, &one), sessions.import(&session, &other));
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    let path = store.sessions().path(id, session.head, 100).await.unwrap();
    assert_eq!((path.messages.len(), path.before), (60, None));
    assert_eq!(path.messages[19].message.content, long);
}

async fn pages_of_large_messages_are_limited_by_bytes(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let large = "x".repeat(5 << 20);
    let mut written = Vec::new();
    for _ in 0..3 {
        written.push(say(store, &mut session, &large).await.id);
    }
    let (mut read, mut after) = (Vec::new(), Some(0));
    while let Some(seq) = after {
        let page = store.sessions().messages(session.id, seq, 200).await.unwrap();
        assert_eq!(page.messages.len(), 1);
        read.push(page.messages[0].id);
        after = page.next;
    }
    assert_eq!(read, written);
    let (mut read, mut leaf) = (Vec::new(), session.head);
    while leaf.is_some() {
        let path = store.sessions().path(session.id, leaf, 200).await.unwrap();
        assert_eq!(path.messages.len(), 1);
        read.insert(0, path.messages[0].id);
        leaf = path.before;
    }
    assert_eq!(read, written);
}

async fn deletion_ends_a_turn_and_leaves_nothing(world: World) {
    let store = &world.store();
    let mut session = new_session(store).await;
    let long = "long ".repeat(10 << 10);
    say(store, &mut session, &long).await;
    let lease = lease(store, session.id).await;
    let (parent, change) = (session.head, SessionChange::default());
    let messages = vec![new_message(Role::Assistant, "")];
    let mut appended =
        store.sessions().append(&lease, &mut session, parent, messages, &change).await.unwrap();
    store.sessions().delete(&session).await.unwrap();
    appended[0].message.content = long.clone();
    let late = store.sessions().finish(&lease, &mut session, &mut appended[0], &change).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    let late = vec![new_message(Role::User, &long)];
    let late = store.sessions().append(&lease, &mut session, None, late, &change).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    // Neither an item nor the entry of an object is left.
    let query = Query::partition(format!("SESS#{}", session.id), Sort::All);
    assert_eq!(store.database().query(&query).await.unwrap().items, []);
}

async fn entry_of_a_session_never_expires(world: World) {
    let store = &world.store();
    let session = new_session(store).await;
    let key = Key::new(format!("OWNED#{}", session.owner), format!("SESS#{}", session.id));
    assert_eq!(store.database().get(&key).await.unwrap().unwrap().ttl, None);
}

#[test]
fn bucket_ends_earlier_versions_of_every_prefix() {
    let template = include_str!("../../../infra/template.yaml");
    for prefix in ["runs/", "artifacts/", "files/", "sessions/"] {
        let (_, rule) = template.split_once(&format!("            Prefix: {prefix}\n")).unwrap();
        let rule = rule.split("          - Id:").next().unwrap();
        assert!(rule.contains("NoncurrentVersionExpiration"), "{prefix}");
    }
}

async fn sessions_of_a_member_who_leaves_are_closed(world: World) {
    let (store, owner) = (&world.store(), owner());
    let (mut open, mut other) = (Session::new(owner), Session::new(self::owner()));
    let mut archived = Session { status: SessionStatus::Archived, ..Session::new(owner) };
    for session in [&mut open, &mut archived, &mut other] {
        store.sessions().create(session).await.unwrap();
    }
    let expires_at = Timestamp::from_unix(4_000_000_000);
    store.sessions().close_all(owner, expires_at).await.unwrap();
    for session in [&open, &archived] {
        let closed = store.sessions().read(session.id).await.unwrap().unwrap();
        assert_eq!((closed.status, closed.expires_at), (SessionStatus::Closed, Some(expires_at)));
    }
    assert_eq!(store.sessions().read(other.id).await.unwrap(), Some(other));
}
