use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use axum::{Json, Router, routing::get};
use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::client::testing::{closed_port, connection, serve};

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

    fn folder(&self, policy: Policy) -> ModelFolder {
        ModelFolder {
            path: self.0.path().join("models"),
            lock: self.0.path().join("lock"),
            default_model: "default".to_owned(),
            embedded_model: "tiny-chat".to_owned(),
            policy,
        }
    }

    fn names(&self) -> Vec<String> {
        let catalog = Catalog::new(self.0.path().join("models"), vec![]).scan();
        catalog.into_keys().collect()
    }

    async fn run(&self, line: &str, policy: Policy, url: &str) -> Result<(), String> {
        let line = Line::try_parse_from(format!("hearth {line}").split_whitespace()).unwrap();
        let storage = Storage { connection: connection(url), ..line.storage };
        storage.run(&self.folder(policy)).await.map_err(|error| format!("{error:#}"))
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
async fn models_that_were_not_used_for_long_go_and_loaded_ones_stay() {
    let data = Data::new(&[("old", 50), ("busy", 60), ("default", 70), ("tiny-chat", 80), ("new", 1)]);
    let url = gateway_with(&["busy"]).await;
    let days = Policy { keep_days: Some(30), ..Policy::default() };
    data.run("prune --dry-run", days, &url).await.unwrap();
    assert_eq!(data.names().len(), 5, "a dry run removes nothing");
    data.run("", days, &url).await.unwrap();
    data.run("prune", days, &url).await.unwrap();
    assert_eq!(data.names(), ["busy", "default", "new", "tiny-chat"]);
    // What a flag says wins over the settings.
    data.run("prune --max-bytes 4MB", days, &url).await.unwrap();
    assert_eq!(data.names(), ["busy", "default", "tiny-chat"]);
}

#[tokio::test]
async fn without_a_gateway_it_goes_by_the_folder() {
    let data = Data::new(&[("owner/repo/old", 50), ("new", 1)]);
    let url = closed_port().await;
    data.run("", Policy::default(), &url).await.unwrap();
    data.run("prune --keep-days 30", Policy::default(), &url).await.unwrap();
    assert_eq!(data.names(), ["new"]);
}

#[tokio::test]
async fn a_running_gateway_that_cannot_be_asked_keeps_its_models() {
    let data = Data::new(&[("old", 50)]);
    let url = closed_port().await;
    let lock = File::create(data.folder(Policy::default()).lock).unwrap();
    lock.lock().unwrap();
    data.run("prune --keep-days 30 --dry-run", Policy::default(), &url).await.unwrap();
    let error = data.run("prune --keep-days 30", Policy::default(), &url).await.unwrap_err();
    assert!(error.contains("a running hearth uses this folder") && error.contains("--url"), "{error}");
    assert_eq!(data.names(), ["old"]);
    // It can be asked.
    let url = gateway_with(&[]).await;
    data.run("prune --keep-days 30", Policy::default(), &url).await.unwrap();
    assert!(data.names().is_empty());
}

#[tokio::test]
async fn something_has_to_say_what_goes() {
    let data = Data::new(&[("old", 50)]);
    let url = closed_port().await;
    let error = data.run("prune", Policy::default(), &url).await.unwrap_err();
    assert!(error.contains("--max-bytes") && error.contains("storage.keep_days"), "{error}");
    assert!(Line::try_parse_from(["hearth", "prune", "--keep-days", "0"]).is_err());
    assert!(Line::try_parse_from(["hearth", "prune", "--max-bytes", "lots"]).is_err());
    // A folder that isn't there is empty.
    let missing =
        ModelFolder { path: Path::new("/nowhere/models").to_owned(), ..data.folder(Policy::default()) };
    let storage = Storage { command: None, data: None, connection: connection(&url) };
    storage.run(&missing).await.unwrap();
}

#[test]
fn times_and_bounds_for_people() {
    let now = Timestamp::from_unix(1_000_000);
    for (seconds, text) in [(0, "today"), (86_399, "today"), (86_400, "yesterday"), (864_000, "10 days ago")]
    {
        assert_eq!(ago(Timestamp::from_unix(1_000_000 - seconds), now), text);
    }
    assert_eq!(bounds(&Policy::default()), None);
    let both = Policy { max_bytes: Some(20 << 30), keep_days: Some(30) };
    assert_eq!(bounds(&both).unwrap(), "at most 20.0 GiB, kept 30 days after their last use");
}
