use std::{
    fs::{self, File},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use axum::{Json, Router, routing::get};
use clap::Parser;
use hearth_settings::StorageSettings;
use serde_json::{Value, json};

use super::*;
use crate::{
    client::testing::{closed_port, connection, context, serve},
    settings::Settings,
};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf");

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    storage: Storage,
}

/// A data folder with models of about a megabyte each, used last some days ago.
struct Data(tempfile::TempDir);

impl Data {
    fn new(models: &[(&str, u64)]) -> Self {
        let data = Self(tempfile::tempdir().unwrap());
        for (id, days) in models {
            let path = data.path(id);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(TINY, &path).unwrap();
            let at = SystemTime::now() - Duration::from_secs(days * 86_400);
            File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        }
        data
    }

    fn path(&self, id: &str) -> PathBuf {
        self.0.path().join("models").join(format!("{id}.gguf"))
    }

    fn settings(&self, storage: StorageSettings) -> Settings {
        let data = self.0.path().to_owned();
        Settings { data, model: Some("default".into()), storage, ..Settings::default() }
    }

    fn names(&self) -> Vec<String> {
        let models = ModelScanner::new(self.0.path().join("models"), vec![]).scan();
        models.into_keys().collect()
    }

    async fn run(&self, line: &str, storage: StorageSettings, url: &str) -> Result<(), String> {
        let line = Line::try_parse_from(format!("hearth {line}").split_whitespace()).unwrap();
        let context = Context { settings: self.settings(storage), ..context(url) };
        line.storage.run(&context).await.map_err(|error| format!("{error:#}"))
    }
}

/// A gateway whose node has these models in memory.
async fn gateway_with(loaded: &'static [&'static str]) -> String {
    let models: Vec<Value> = loaded
        .iter()
        .map(|id| {
            json!({"id": id, "object": "model", "created": 1, "owned_by": "local", "name": id, "version": null,
                   "modality": "text", "capabilities": [], "provider": "local", "architecture": null,
                   "context_length": null, "size_bytes": 1, "node": null,
                   "runtime_status": {"state": "loaded", "progress": null, "default": false, "active": 0,
                        "queue_depth": 0, "slots": 4, "memory_bytes": null, "pid": null, "loaded_at": null,
                        "last_used_at": null, "error": null}})
        })
        .collect();
    let answer = async move || Json(json!({ "models": models }));
    serve(Router::new().route("/v1/models/loaded", get(answer))).await
}

#[tokio::test]
async fn unused_models_are_removed_and_loaded_ones_stay() {
    let data = Data::new(&[("old", 50), ("busy", 60), ("default", 70), ("tiny-chat", 80), ("new", 1)]);
    let url = gateway_with(&["busy"]).await;
    let days = StorageSettings { keep_days: Some(30), ..StorageSettings::default() };
    data.run("prune --dry-run", days, &url).await.unwrap();
    assert_eq!(data.names().len(), 5, "a dry run removes nothing");
    data.run("", days, &url).await.unwrap();
    data.run("prune", days, &url).await.unwrap();
    assert_eq!(data.names(), ["busy", "default", "new", "tiny-chat"]);
    // A flag replaces the limits of the settings.
    data.run("prune --max-bytes 4MB", days, &url).await.unwrap();
    assert_eq!(data.names(), ["busy", "default", "tiny-chat"]);
}

#[tokio::test]
async fn models_are_pruned_without_a_gateway() {
    let data = Data::new(&[("owner/repo/old", 50), ("new", 1)]);
    let url = closed_port().await;
    data.run("", StorageSettings::default(), &url).await.unwrap();
    data.run("prune --keep-days 30", StorageSettings::default(), &url).await.unwrap();
    assert_eq!(data.names(), ["new"]);
}

#[tokio::test]
async fn running_gateway_that_does_not_answer_keeps_its_models() {
    let data = Data::new(&[("old", 50)]);
    let url = closed_port().await;
    let lock = File::create(data.0.path().join("lock")).unwrap();
    lock.lock().unwrap();
    data.run("prune --keep-days 30 --dry-run", StorageSettings::default(), &url).await.unwrap();
    let error = data.run("prune --keep-days 30", StorageSettings::default(), &url).await.unwrap_err();
    assert!(error.contains("a running hearth uses this folder") && error.contains("--url"), "{error}");
    assert_eq!(data.names(), ["old"]);
    // Now it answers.
    let url = gateway_with(&[]).await;
    data.run("prune --keep-days 30", StorageSettings::default(), &url).await.unwrap();
    assert!(data.names().is_empty());
}

#[tokio::test]
async fn prune_without_a_limit_is_refused() {
    let data = Data::new(&[("old", 50)]);
    let url = closed_port().await;
    let error = data.run("prune", StorageSettings::default(), &url).await.unwrap_err();
    assert!(error.contains("--max-bytes") && error.contains("storage.keep_days"), "{error}");
    assert!(Line::try_parse_from(["hearth", "prune", "--keep-days", "0"]).is_err());
    assert!(Line::try_parse_from(["hearth", "prune", "--max-bytes", "lots"]).is_err());
    // A missing folder is empty.
    let settings = Settings { data: "/nowhere".into(), ..data.settings(StorageSettings::default()) };
    let storage = Storage { command: None, data: None, connection: connection(&url) };
    storage.run(&Context { settings, ..context(&url) }).await.unwrap();
}

#[test]
fn times_and_limits_are_formatted() {
    let now = Timestamp::from_unix(1_000_000);
    for (seconds, text) in [(0, "today"), (86_399, "today"), (86_400, "yesterday"), (864_000, "10 days ago")]
    {
        assert_eq!(ago(Timestamp::from_unix(1_000_000 - seconds), now), text);
    }
    assert_eq!(limits(&Policy::default()), None);
    let both = Policy { max_bytes: Some(20 << 30), keep_days: Some(30) };
    assert_eq!(limits(&both).unwrap(), "at most 20.0 GiB, kept 30 days after their last use");
}
