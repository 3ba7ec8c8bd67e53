//! Migration of data folders of earlier versions, whose table was an emulation of DynamoDB.

use std::{fs, path::Path, time::Duration};

use hearth_auth::Keys;
use hearth_domain::{
    Artifact, ArtifactId, Message, Owner, Role, Run, RunId, RunState, Scope, Secret, Timestamp, UserId,
};
use hearth_store::{
    Store,
    artifacts::ArtifactRecord,
    cached_answers::CachedFacts,
    conversations::Conversation,
    database::{Condition, Durability, Item, Key, Write},
    home,
    tokens::TokenRecord,
};
use hearth_wire::{RunEvent, RunEventBody};

use crate::{aggregates::run, world::in_aws};

/// The contents of a folder, before and after the migration.
pub(crate) struct Contents {
    secret: Secret,
    operator: UserId,
    token: TokenRecord,
    open: Run,
    ended: Run,
    long: Run,
    conversation: Conversation,
    artifact: ArtifactRecord,
    cached: CachedFacts,
}

impl Contents {
    /// Fills a folder as an earlier version did.
    pub(crate) async fn write(folder: &Path) -> Self {
        let store = in_aws(folder);
        store.migrate().await.unwrap();
        let secret = store.secret(Some(Keys::generate_secret)).await.unwrap();
        store.put_provider_keys(&Secret::new("{\"openai\": \"sk-x\"}".to_owned())).await.unwrap();
        let operator = store.operator().await.unwrap();
        let token = TokenRecord {
            name: "laptop".into(),
            prefix: "hth_abcd".into(),
            scopes: vec![Scope::Generate],
            ..TokenRecord::new("ab".repeat(32), Owner::of_record(operator, None))
        };
        store.tokens().create(&token).await.unwrap();
        let (open, ended) =
            (run(operator), Run { state: RunState::Completed, text: "γειά".into(), ..run(operator) });
        let long = Run { state: RunState::Completed, text: "long ".repeat(20_000), ..run(operator) };
        store.runs().begin(&open).await.unwrap();
        store.runs().record_ended(&ended, &[event(1), event(2)]).await.unwrap();
        store.runs().record_ended(&long, &[]).await.unwrap();
        // Runs were also in an index by owner.
        let key = Key::new(format!("RUN#{}", ended.id), "META");
        let item = store.database().get(&key).await.unwrap().unwrap();
        let gsi1 = Some(Key::new(format!("USER#{operator}"), format!("RUN#{}", ended.id)));
        store.database().write(Write::Put(Item { gsi1, ..item }, Condition::Always)).await.unwrap();
        let messages = vec![Message::new(Role::User, "é".repeat(200_000))];
        let conversation = Conversation { messages, ..Conversation::default() };
        store.conversations().put(ended.id, Owner::of_record(operator, None), &conversation).await.unwrap();
        let artifact = ArtifactRecord {
            artifact: Artifact {
                id: ArtifactId::new(),
                media_type: "image/png".into(),
                size_bytes: 9,
                sha256: "00".into(),
                revised_prompt: None,
                expires_at: Timestamp::now().plus(Duration::from_secs(600)),
                link: String::new(),
            },
            owner: operator,
            organisation: None,
            run: ended.id,
            created_at: Timestamp::now(),
        };
        store.artifacts().put(&artifact, vec![7; 100_000]).await.unwrap();
        let cached = CachedFacts {
            owner: operator,
            requested_model: "fast".into(),
            model: "tiny-chat".into(),
            provider: "local".into(),
            expires: Timestamp::now().plus(Duration::from_secs(600)),
        };
        store.cached_answers().put("k", &cached, &"a long täxt ".repeat(1000)).await.unwrap();
        Self { secret, operator, token, open, ended, long, conversation, artifact, cached }
    }

    /// Checks that a store has all of them.
    pub(crate) async fn check(&self, store: &Store) {
        store.migrate().await.unwrap();
        assert_eq!(store.secret(None).await.unwrap(), self.secret);
        assert!(store.provider_keys().await.unwrap().unwrap().expose().contains("sk-x"));
        assert_eq!(store.operator().await.unwrap(), self.operator);
        assert_eq!(store.tokens().by_hash(&self.token.hash).await.unwrap().as_ref(), Some(&self.token));
        assert_eq!(store.tokens().of(self.operator).await.unwrap(), vec![self.token.clone()]);
        for run in [&self.open, &self.ended, &self.long] {
            assert_eq!(store.runs().get(run.id).await.unwrap().as_ref(), Some(run));
        }
        assert_eq!(store.runs().open().await.unwrap().runs, vec![self.open.clone()]);
        assert_eq!(store.runs().events_after(self.ended.id, 0).await.unwrap(), [event(1), event(2)]);
        let conversation =
            store.conversations().get(self.ended.id, Owner::of_record(self.operator, None)).await.unwrap();
        assert_eq!(conversation.as_ref(), Some(&self.conversation));
        let id = self.artifact.artifact.id;
        assert_eq!(store.artifacts().get(id).await.unwrap().as_ref(), Some(&self.artifact));
        let bytes = store.artifacts().read(id).await.unwrap().unwrap().collect().await.unwrap();
        assert_eq!(bytes, vec![7; 100_000]);
        let (cached, body) = store.cached_answers().get("k").await.unwrap().unwrap();
        assert_eq!((cached, body), (self.cached.clone(), "a long täxt ".repeat(1000)));
    }
}

fn event(seq: u64) -> RunEvent {
    RunEvent { seq, body: RunEventBody::text(format!("{seq} ")) }
}

/// The files of databases in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".db") && !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn folder_of_an_earlier_version_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let contents = Contents::write(folder.path()).await;
    let store = home::open(folder.path(), Durability::Os).unwrap();
    contents.check(&store).await;
    // Runs are no longer in the index by owner.
    let key = Key::new(format!("RUN#{}", contents.ended.id), "META");
    assert_eq!(store.database().get(&key).await.unwrap().unwrap().gsi1, None);
    assert_eq!(names(folder.path()), ["hearth.db.old", "store.db"]);
    // Three objects, each with its new name only.
    let objects: Vec<_> = fs::read_dir(folder.path().join("objects")).unwrap().collect();
    assert_eq!(objects.len(), 3);
    // A later start doesn't migrate again.
    store.runs().update(&Run { state: RunState::Failed, ..contents.open.clone() }).await.unwrap();
    store.close().await;
    drop(store);
    let store = home::open(folder.path(), Durability::Os).unwrap();
    assert!(store.runs().open().await.unwrap().runs.is_empty());
    assert_eq!(store.runs().get(RunId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn interrupted_migration_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let contents = Contents::write(folder.path()).await;
    // Interrupted in the middle of the new file.
    fs::write(folder.path().join("store.db.new"), "half a database").unwrap();
    fs::write(folder.path().join("store.db.new-wal"), "half a log").unwrap();
    // Interrupted between the two renames.
    let before = tempfile::tempdir().unwrap();
    for name in ["hearth.db", "hearth.db-wal", "hearth.db-shm"] {
        let _ = fs::copy(folder.path().join(name), before.path().join(name));
    }
    let store = home::open(folder.path(), Durability::Os).unwrap();
    contents.check(&store).await;
    let ended = Run { state: RunState::Failed, ..contents.open.clone() };
    store.runs().update(&ended).await.unwrap();
    store.close().await;
    drop(store);
    fs::remove_file(folder.path().join("hearth.db.old")).unwrap();
    for name in ["hearth.db", "hearth.db-wal", "hearth.db-shm"] {
        let _ = fs::copy(before.path().join(name), folder.path().join(name));
    }
    let store = home::open(folder.path(), Durability::Os).unwrap();
    assert_eq!(store.runs().get(ended.id).await.unwrap(), Some(ended), "the old data came back");
    assert_eq!(names(folder.path()), ["hearth.db.old", "store.db"]);
}

#[tokio::test]
async fn damaged_database_of_an_earlier_version_is_reported_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = b"garbage!".repeat(1000);
    fs::write(folder.path().join("hearth.db"), &garbage).unwrap();
    let error = home::open(folder.path(), Durability::Os).unwrap_err().to_string();
    assert!(error.contains("hearth.db of an earlier version can't be migrated"), "{error}");
    assert_eq!(fs::read(folder.path().join("hearth.db")).unwrap(), garbage);
    assert!(!folder.path().join("store.db").exists());
}
