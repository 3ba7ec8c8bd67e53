//! `hearth up`: gateway, stores and node in one command.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, Process, hearth};

/// A running `hearth up`, on a free port and a temporary data folder.
#[derive(Debug)]
pub struct Home {
    /// Where it serves.
    pub url: String,
    /// The owner's token.
    pub token: String,
    /// The default model's id.
    pub model: String,
    process: Process,
    folder: TempDir,
    arguments: Vec<String>,
}

impl Home {
    /// Starts one and waits until it serves.
    ///
    /// # Panics
    /// If it doesn't; what it wrote is shown.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with further arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        Self::start_in(folder, arguments.iter().map(|&argument| argument.to_owned()).collect(), None).await
    }

    /// Only the first start of a data folder tells a token; later ones are given it.
    async fn start_in(folder: TempDir, arguments: Vec<String>, token: Option<String>) -> Self {
        let data = data_of(&folder);
        let data = data.to_str().unwrap_or_else(|| panic!("{} is not UTF-8", data.display()));
        let mut command = hearth(folder.path(), &["up", "--json", "--port", "0", "--data", data]);
        command.args(&arguments);
        let mut process = Process::spawn(command, folder.path().join("stderr.log"))
            .logging_to(data_of(&folder).join("logs"));
        let ready = process.ready().await;
        let field = |name: &str| match ready.get(name).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => panic!("hearth up didn't tell its {name}: {ready}"),
        };
        let (url, model) = (field("url"), field("model"));
        let token = match token {
            Some(token) => {
                assert_eq!(ready["token"], Value::Null, "a second token was made");
                token
            }
            None => field("token"),
        };
        Self { url, token, model, process, folder, arguments }
    }

    /// A client with the owner's token.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url, Some(&self.token))
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        data_of(&self.folder)
    }

    /// The temporary folder around its data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ctrl-C, and a clean end; gives the folder, which is deleted with it.
    ///
    /// # Panics
    /// If it ends badly, or not in time.
    pub async fn stop(self) -> TempDir {
        self.process.stop().await;
        self.folder
    }

    /// Stops it and starts it again on the same data.
    ///
    /// # Panics
    /// As [`Self::stop`] and [`Self::start`].
    pub async fn restart(self) -> Self {
        self.process.stop().await;
        Self::start_in(self.folder, self.arguments, Some(self.token)).await
    }

    /// Kills it at once (`kill -9`) and starts it again on the same data.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn crash_and_restart(self) -> Self {
        self.process.kill().await;
        Self::start_in(self.folder, self.arguments, Some(self.token)).await
    }

    /// The process that has a model in memory.
    ///
    /// # Panics
    /// If the model isn't in memory.
    pub async fn worker(&self, model: &str) -> u32 {
        let loaded = self.client().get("/v1/models/loaded").await.json();
        let entry = loaded["models"].as_array().and_then(|all| all.iter().find(|one| one["id"] == model));
        let pid = entry.and_then(|entry| entry["runtime_status"]["pid"].as_u64());
        let pid = pid.and_then(|pid| u32::try_from(pid).ok());
        pid.unwrap_or_else(|| panic!("{model} has no process: {loaded}"))
    }
}

fn data_of(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}
