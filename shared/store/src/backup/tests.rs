use std::{io::Cursor, sync::Arc};

use hearth_domain::{Model, NodeId, Run, RunState, Secret, Timestamp, UserId};
use hearth_wire::{RunEvent, RunEventBody};

use super::*;
use crate::{
    Store,
    database::Durability,
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
    // The operator and two runs.
    assert_eq!(imported.written, Counts { items: 3, objects: 1, secrets: 0 });
    assert_eq!(lines(&other.export(false).await), lines(&export));
    assert_eq!(other.store.operator().await.unwrap(), one.store.operator().await.unwrap());
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
    assert_eq!((merged.written.items, merged.kept), (2, 1));
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
    let changed = text.replacen("\"v\":2", "\"v\":3", 1);
    for bytes in [&newer, &without_an_item, cut, &changed, "", "{}\n"] {
        let error = other.import(bytes.as_bytes(), Options::default()).await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. } | BackupError::Unfinished(_)), "{error}");
    }
    let mut newer = Vec::new();
    let created_at = Timestamp::now();
    let header = entry::Header { format: 2, schema: 1, id: "x".into(), created_at };
    entry::write(&mut newer, &entry::Entry::Header(header)).unwrap();
    let error = other.import(&newer, Options::default()).await.unwrap_err();
    assert!(matches!(error, BackupError::Newer { format: 2, .. }), "{error}");
    assert_eq!(other.import(&export, Options::default()).await.unwrap().written.items, 3);
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
    let another = World::with_runs().await.export(false).await;
    let error = other.import(&another, Options::default()).await.unwrap_err();
    assert!(matches!(error, BackupError::OtherImport(_)), "{error}");
    let imported = other.import(&export, Options::default()).await.unwrap();
    assert_eq!(imported.written.items + imported.kept, 3);
    assert_eq!(lines(&other.export(false).await), lines(&export));
}

#[tokio::test]
async fn node_in_the_process_and_its_models_are_left_out() {
    let (one, owner) = (World::new().await, UserId::new());
    for (name, url) in [("far", "https://node.example"), ("own", IN_PROCESS_URL)] {
        let (id, created_at) = (NodeId::new(), Timestamp::now());
        let node = NodeRecord { id, owner, name: name.to_owned(), url: url.to_owned(), created_at };
        one.store.nodes().put(&node).await.unwrap();
        let model = Model { node: Some(id), ..Model::example(&format!("{name}-model")) };
        one.store.models().put_discovered(&model).await.unwrap();
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
