use std::{io::Cursor, sync::Arc};

use hearth_domain::{
    Generation, Message, Model, NodeId, Owner, Role, Run, RunId, RunState, Sampling, Secret, TextTask,
    Timestamp, TokenId, UserId,
};
use hearth_wire::{RunEvent, RunEventBody};

use super::*;
use crate::{
    Store,
    configuration::ConfigurationVersion,
    database::{Condition, Durability},
    home,
    nodes::{IN_PROCESS_URL, NodeRecord},
};

/// A store in a folder of its own.
struct World {
    store: Store,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = home::open(folder.path(), Durability::Os).unwrap();
        store.migrate().await.unwrap();
        Self { store, _folder: folder }
    }

    /// A store with a run whose text is an object, and another with events.
    async fn with_runs() -> Self {
        let world = Self::new().await;
        let owner = world.store.operator().await.unwrap();
        let run = |text: String| Run { state: RunState::Completed, text, ..Run::example(owner) };
        world.store.runs().record_ended(&run("long ".repeat(20_000)), &[]).await.unwrap();
        let events = [RunEvent { seq: 1, body: RunEventBody::text("short") }];
        world.store.runs().record_ended(&run("short".into()), &events).await.unwrap();
        world.store.put_provider_keys(&Secret::new("{\"openai\":\"sk-1\"}".to_owned())).await.unwrap();
        world
    }

    async fn export(&self, secrets: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        export(&self.store, secrets, &mut bytes).await.unwrap();
        bytes
    }

    async fn import(&self, bytes: &[u8], options: Options) -> Result<Imported, BackupError> {
        let bytes: Arc<[u8]> = bytes.into();
        import(&self.store, || Ok(Cursor::new(Arc::clone(&bytes))), options).await
    }
}

async fn export_of(store: &Store) -> Result<Counts, BackupError> {
    export(store, false, &mut Vec::new()).await.map(|exported| exported.written)
}

/// The export's first object.
fn object_of(export: &[u8]) -> entry::ObjectHead {
    let mut entries = entry::Entries::new(export);
    loop {
        if let entry::Entry::Object(head) = entries.next().unwrap() {
            return head;
        }
    }
}

fn version(number: u64, message: &str) -> ConfigurationVersion {
    ConfigurationVersion {
        number,
        settings: "{}".to_owned(),
        author: TokenId::new().to_string(),
        created_at: Timestamp::from_unix(1_800_000_000),
        message: Some(message.to_owned()),
        restores: None,
    }
}

/// The lines but for the header, which has the time.
fn lines(export: &[u8]) -> Vec<&str> {
    let mut lines: Vec<&str> = std::str::from_utf8(export).unwrap().lines().skip(1).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn imported_store_exports_the_same() {
    let (one, other) = (World::with_runs().await, World::new().await);
    let export = one.export(false).await;
    let text = String::from_utf8(export.clone()).unwrap();
    assert!(!text.contains("sk-1") && !text.contains("\"events\""), "{text}");
    let imported = other.import(&export, Options::default()).await.unwrap();
    // The operator, and two runs with their entries in the owner's index.
    assert_eq!(imported.written, Counts { items: 5, objects: 1, secrets: 0 });
    assert_eq!(lines(&other.export(false).await), lines(&export));
    assert_eq!(other.store.operator().await.unwrap(), one.store.operator().await.unwrap());
}

#[tokio::test]
async fn stored_request_with_its_object_is_exported_and_read_after_the_import() {
    let (one, other) = (World::new().await, World::new().await);
    let owner = Owner::of_record(one.store.operator().await.unwrap(), None);
    // In the item, and in an object.
    for size in [10, 200_000] {
        let messages = vec![Message::new(Role::User, "x".repeat(size))];
        let request = Generation::new(None, TextTask::new(messages, Sampling::default()));
        let id = RunId::new();
        one.store.run_requests().put(id, owner, &request).await.unwrap();
        let imported = World::new().await;
        imported.import(&one.export(false).await, Options::default()).await.unwrap();
        assert_eq!(imported.store.run_requests().get(id, owner).await.unwrap(), Some(request));
    }
    let imported = other.import(&one.export(false).await, Options::default()).await.unwrap();
    assert_eq!(imported.written.objects, 1);
}

#[tokio::test]
async fn missing_object_is_counted_and_named() {
    let world = World::with_runs().await;
    let key = object_of(&world.export(false).await).key;
    world.store.bucket.delete(&key).await.unwrap();
    let exported = export(&world.store, false, &mut Vec::new()).await.unwrap();
    let written = Counts { items: 5, objects: 0, secrets: 0 };
    assert_eq!(exported, Exported { written, missing: 1, missing_keys: vec![key] });
}

#[tokio::test]
async fn missing_secret_of_a_stack_fails_the_export() {
    let mut world = World::with_runs().await;
    world.store.names.secret = "other/gateway".to_owned();
    let error = export(&world.store, true, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(&error, BackupError::NoSecret(name) if name == "other/gateway"), "{error}");
}

#[tokio::test]
async fn secrets_are_exported_and_imported_only_if_both_want_them() {
    let one = World::with_runs().await;
    let export = one.export(true).await;
    for (secrets, expected, ignored) in [(false, None, 1), (true, Some("{\"openai\":\"sk-1\"}"), 0)] {
        let other = World::new().await;
        let imported = other.import(&export, Options { secrets, merge: false }).await.unwrap();
        assert_eq!(imported.ignored_secrets, ignored);
        let keys = other.store.provider_keys().await.unwrap();
        assert_eq!(keys.as_ref().map(Secret::expose), expected);
    }
}

#[tokio::test]
async fn store_with_items_is_refused_or_merged() {
    let (one, other) = (World::with_runs().await, World::new().await);
    let owner = other.store.operator().await.unwrap();
    let export = one.export(false).await;
    let refused = other.import(&export, Options::default()).await.unwrap_err();
    assert!(matches!(&refused, BackupError::NotEmpty(key) if key == "OPERATOR META"), "{refused}");
    let merged = other.import(&export, Options { merge: true, secrets: false }).await.unwrap();
    assert_eq!((merged.written.items, merged.kept), (4, 1));
    assert_eq!(other.store.operator().await.unwrap(), owner);
}

#[tokio::test]
async fn damaged_cut_or_newer_file_writes_nothing() {
    let (one, other) = (World::with_runs().await, World::new().await);
    let export = one.export(false).await;
    let text = String::from_utf8(export.clone()).unwrap();
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    let mut lines: Vec<&str> = text.lines().collect();
    let missing = lines.remove(lines.len() - 2);
    assert!(missing.contains("\"item\""), "{missing}");
    let without_an_item = lines.join("\n") + "\n";
    let cut = text.get(..text.len() - 20).unwrap();
    let changed = text.replacen("\"v\":3", "\"v\":4", 1);
    assert_ne!(changed, text);
    let mut flipped = export.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let files = [&newer, &without_an_item, cut, &changed, ""].map(str::as_bytes);
    for bytes in files.into_iter().chain([flipped.as_slice()]) {
        let error = other.import(bytes, Options::default()).await.unwrap_err();
        assert!(
            matches!(error, BackupError::Damaged { .. } | BackupError::Unfinished(_) | BackupError::Empty),
            "{error}"
        );
        assert!(error.to_string().contains("use another copy of the file"), "{error}");
    }
    // The beginnings of files that zstd and gzip write, and another JSON file.
    for bytes in [&b"\x28\xb5\x2f\xfd\x04"[..], b"\x1f\x8b\x08\n", b"{}\n"] {
        let error = other.import(bytes, Options::default()).await.unwrap_err();
        assert!(matches!(error, BackupError::NotAnExport), "{error}");
    }
    let (empty, cut) = (&b""[..], cut.as_bytes());
    assert!(matches!(other.import(empty, Options::default()).await, Err(BackupError::Empty)));
    assert!(matches!(other.import(cut, Options::default()).await, Err(BackupError::Unfinished(_))));
    let mut newer = Vec::new();
    let created_at = Timestamp::now();
    let header = entry::Header { format: 2, schema: 1, id: "x".into(), created_at };
    entry::write(&mut newer, &entry::Entry::Header(header)).unwrap();
    let error = other.import(&newer, Options::default()).await.unwrap_err();
    assert!(matches!(error, BackupError::Newer { format: 2, .. }), "{error}");
    assert_eq!(other.import(&export, Options::default()).await.unwrap().written.items, 5);
}

#[tokio::test]
async fn interrupted_import_is_continued_by_the_same_file_only() {
    let (one, other) = (World::with_runs().await, World::new().await);
    let export = one.export(false).await;
    // The file ends while it is read for the second time.
    let reads = std::cell::Cell::new(0);
    let open = || {
        reads.set(reads.get() + 1);
        let len = if reads.get() == 1 { export.len() } else { export.len() / 2 };
        Ok(Cursor::new(export.get(..len).unwrap().to_vec()))
    };
    import(&other.store, open, Options::default()).await.unwrap_err();
    // No gateway starts on a part of the data, and makes itself an operator that the import then keeps.
    for refused in [other.store.migrate().await, other.store.operator().await.map(drop)] {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::UnfinishedImport(_)), "{error}");
        assert!(error.to_string().contains("repeat `hearth import FILE`"), "{error}");
    }
    let refused = export_of(&other.store).await.unwrap_err();
    assert!(matches!(refused, BackupError::Store(StoreError::UnfinishedImport(_))), "{refused}");
    let another = World::with_runs().await.export(false).await;
    let error = other.import(&another, Options::default()).await.unwrap_err();
    assert!(matches!(error, BackupError::OtherImport(_)), "{error}");
    let imported = other.import(&export, Options::default()).await.unwrap();
    assert_eq!(imported.written.items + imported.kept, 5);
    assert_eq!(lines(&other.export(false).await), lines(&export));
    other.store.migrate().await.unwrap();
    assert_eq!(other.store.operator().await.unwrap(), one.store.operator().await.unwrap());
}

#[tokio::test]
async fn objects_of_kept_items_stay_as_they_are() {
    let one = World::with_runs().await;
    let export = one.export(false).await;
    let head = object_of(&export);
    one.store.bucket.put(&head.key, &head.media_type, b"its own".to_vec()).await.unwrap();
    let merged = one.import(&export, Options { merge: true, secrets: false }).await.unwrap();
    assert_eq!((merged.written, merged.kept), (Counts::default(), 5));
    let stored = crate::bucket::read_text(&*one.store.bucket, &head.key).await.unwrap();
    assert_eq!(stored, "its own");
}

#[tokio::test]
async fn merge_keeps_the_history_of_a_configuration_whole_or_completes_its_own() {
    let (one, other) = (World::new().await, World::new().await);
    for number in 1..=3 {
        one.store.configurations().push(&version(number, "file")).await.unwrap();
    }
    let own = version(1, "own");
    other.store.configurations().push(&own).await.unwrap();
    let (export, merge) = (one.export(false).await, Options { merge: true, secrets: false });
    let merged = other.import(&export, merge).await.unwrap();
    assert_eq!((merged.written.items, merged.kept), (0, 4));
    assert_eq!(other.store.configurations().versions().await.unwrap(), [own]);

    // An interrupted import has written the current version only.
    let again = World::new().await;
    let current = crate::configuration::current_key();
    let item = one.store.table.get_item(&current).await.unwrap().unwrap();
    again.store.table.put(item, Condition::Absent).await.unwrap();
    let merged = again.import(&export, merge).await.unwrap();
    assert_eq!((merged.written.items, merged.kept), (3, 1));
    assert_eq!(again.store.configurations().versions().await.unwrap().len(), 3);
}

#[tokio::test]
async fn node_in_the_process_and_its_models_are_left_out() {
    let (one, owner) = (World::new().await, UserId::new());
    for (name, url) in [("far", "https://node.example"), ("own", IN_PROCESS_URL)] {
        let id = NodeId::new();
        let owner = Owner::of_record(owner, None);
        let node = NodeRecord { url: Some(url.to_owned()), ..NodeRecord::new(id, owner, name) };
        one.store.nodes().put(&node).await.unwrap();
        let model = Model { node: Some(id), ..Model::example(&format!("{name}-model")) };
        one.store.models(None).put_discovered(&model).await.unwrap();
    }
    let text = String::from_utf8(one.export(false).await).unwrap();
    assert!(text.contains("far-model") && text.contains("node.example"), "{text}");
    assert!(!text.contains("own-model") && !text.contains(IN_PROCESS_URL), "{text}");
}

#[test]
fn caches_events_and_marks_are_left_out() {
    let exported = |pk: &str, sk: &str| is_exported(&Key::new(pk, sk));
    for (pk, sk) in
        [("TOK#1", "META"), ("RUN#1", "META"), ("RUN#1", "CONVERSATION"), ("CONFIG#OPERATOR", "E#1")]
    {
        assert!(exported(pk, sk), "{pk} {sk}");
    }
    for (pk, sk) in [("CACHE#1", "R"), ("RUN#1", "E#000000000001"), ("RUN#1", "CANCEL"), ("PROBE", "META")] {
        assert!(!exported(pk, sk), "{pk} {sk}");
    }
}
