//! `hearth up`: gateway, stores and node in one command.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hearth_store::{Store, database::Durability, home};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Client, Process,
    binaries::{keep_backend_results, share_backend_results},
    model::{copy_image_model, copy_with_context, copy_with_template, copy_with_template_end, whole_copy},
    people::Person,
    process::hearth_under,
};

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
    setup: Setup,
}

/// Options of a [`Home`].
#[derive(Debug)]
pub struct Setup {
    folder: TempDir,
    arguments: Vec<String>,
    /// A program, with its arguments, that starts it.
    under: Vec<String>,
}

impl Setup {
    /// As it is without settings, in a temporary folder of its own.
    ///
    /// # Panics
    /// If there can be no folder.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        Self { folder, arguments: Vec::new(), under: Vec::new() }
    }

    /// With further arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Without a node, for a test whose answers come from providers: no model is loaded, and no worker process starts.
    #[must_use]
    pub fn without_node(self) -> Self {
        self.arguments(&["--no-node"])
    }

    /// With a settings file of this text.
    ///
    /// # Panics
    /// If it can't be written.
    #[must_use]
    pub fn settings(self, toml: &str) -> Self {
        let path = self.folder.path().join("hearth.toml");
        std::fs::write(&path, toml).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.to_string_lossy().into_owned();
        self.arguments(&["--config", &path])
    }

    /// With copies of the small model under these names in the model folder.
    #[must_use]
    pub fn models(self, names: &[&str]) -> Self {
        for name in names {
            whole_copy(&model_in(&self.folder, name));
        }
        self
    }

    /// With a copy of the small image model under this name in the model folder.
    #[must_use]
    pub fn image_model(self, name: &str) -> Self {
        copy_image_model(&data_of(&self.folder).join("models").join(name));
        self
    }

    /// The model folder.
    #[must_use]
    pub fn models_folder(&self) -> PathBuf {
        data_of(&self.folder).join("models")
    }

    /// With a copy of the small model whose metadata promise a context of `tokens`.
    #[must_use]
    pub fn model_with_context(self, name: &str, tokens: u32) -> Self {
        copy_with_context(&model_in(&self.folder, name), tokens);
        self
    }

    /// With a copy of the small model whose chat template goes on with `end`.
    #[must_use]
    pub fn model_with_template_end(self, name: &str, end: &str) -> Self {
        copy_with_template_end(&model_in(&self.folder, name), end);
        self
    }

    /// With a copy of the small model that has this chat template.
    #[must_use]
    pub fn model_with_template(self, name: &str, template: &str) -> Self {
        copy_with_template(&model_in(&self.folder, name), template);
        self
    }

    /// Started by another program, which takes its place.
    #[must_use]
    pub fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// The file of a model in the model folder.
    #[must_use]
    pub fn model_file(&self, name: &str) -> PathBuf {
        model_in(&self.folder, name)
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Panics
    /// If it doesn't; what it wrote is shown.
    pub async fn start(self) -> Home {
        Home::start_in(self, None).await
    }
}

impl Home {
    /// Starts one and waits until it serves.
    ///
    /// # Panics
    /// If it doesn't; what it wrote is shown.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// Starts one without a node.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_without_node() -> Self {
        Setup::new().without_node().start().await
    }

    /// Starts one with further arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        Setup::new().arguments(arguments).start().await
    }

    /// Starts with the token of an earlier start: only the first start of a data folder prints one.
    async fn start_in(setup: Setup, token: Option<String>) -> Self {
        let (home, data) = (setup.folder.path(), data_of(&setup.folder));
        share_backend_results(&data);
        let data_text = data.to_str().unwrap_or_else(|| panic!("{} is not UTF-8", data.display()));
        let arguments = ["up", "--json", "--port", "0", "--data", data_text];
        let mut command = hearth_under(home, &setup.under, &arguments);
        command.args(&setup.arguments);
        let mut process = Process::spawn(command, home.join("stderr.log")).logging_to(data.join("logs"));
        let ready = process.ready().await;
        keep_backend_results(&data);
        let field = |name: &str| match ready.get(name).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => panic!("the line of hearth up has no {name}: {ready}"),
        };
        let url = field("url");
        // Without a node there is none.
        let model = ready["model"].as_str().unwrap_or_default().to_owned();
        let token = match token {
            Some(token) => {
                assert_eq!(ready["token"], Value::Null, "a second token was created");
                token
            }
            None => field("token"),
        };
        Self { url, token, model, process, setup }
    }

    /// A client with the owner's token.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url, Some(&self.token))
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        data_of(&self.setup.folder)
    }

    /// The temporary folder around its data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.setup.folder.path()
    }

    /// The file of a model in its model folder.
    #[must_use]
    pub fn model_file(&self, name: &str) -> PathBuf {
        model_in(&self.setup.folder, name)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ctrl-C, and a clean end; gives the folder, which is deleted with it.
    ///
    /// # Panics
    /// If it ends badly, or not in time.
    pub async fn stop(self) -> TempDir {
        self.process.stop().await;
        self.setup.folder
    }

    /// Stops it and starts it again on the same data.
    ///
    /// # Panics
    /// As [`Self::stop`] and [`Self::start`].
    pub async fn restart(self) -> Self {
        self.process.stop().await;
        Self::start_in(self.setup, Some(self.token)).await
    }

    /// Stops it and starts it again on the same data; also how long the stop took.
    ///
    /// # Panics
    /// As [`Self::stop`] and [`Self::start`].
    pub async fn restart_timed(self) -> (Self, Duration) {
        let began = Instant::now();
        self.process.stop().await;
        let took = began.elapsed();
        (Self::start_in(self.setup, Some(self.token)).await, took)
    }

    /// Stops it, gives its data a second user, and starts it again; with that user's token.
    ///
    /// # Panics
    /// As [`Self::restart_after`].
    pub async fn restart_with_a_stranger(self) -> (Self, String) {
        self.restart_after(async |store| Person::with_organisation(store).await.token).await
    }

    /// Stops it, changes its data, and starts it again.
    ///
    /// # Panics
    /// As [`Self::restart`], or if the data can't be opened.
    pub async fn restart_after<T>(self, change: impl AsyncFnOnce(&Store) -> T) -> (Self, T) {
        self.process.stop().await;
        let store = home::open(&data_of(&self.setup.folder), Durability::Os);
        let store = store.unwrap_or_else(|error| panic!("the stores: {error}"));
        let result = change(&store).await;
        store.close().await;
        drop(store);
        (Self::start_in(self.setup, Some(self.token)).await, result)
    }

    /// Stops it, runs commands on its data folder, and starts it again.
    ///
    /// # Panics
    /// As [`Self::restart`].
    pub async fn restart_after_command<T>(self, command: impl AsyncFnOnce(&Path) -> T) -> (Self, T) {
        self.process.stop().await;
        let result = command(&data_of(&self.setup.folder)).await;
        (Self::start_in(self.setup, Some(self.token)).await, result)
    }

    /// Kills it at once (`kill -9`) and starts it again on the same data.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn crash_and_restart(self) -> Self {
        self.process.kill().await;
        Self::start_in(self.setup, Some(self.token)).await
    }

    /// The process that has a model in memory.
    ///
    /// # Panics
    /// If the model isn't in memory.
    pub async fn worker(&self, model: &str) -> u32 {
        let worker = self.worker_if_loaded(model).await;
        worker.unwrap_or_else(|| panic!("{model} has no process"))
    }

    /// The process that has a model in memory, if one has.
    pub async fn worker_if_loaded(&self, model: &str) -> Option<u32> {
        let loaded = self.client().get("/v1/models/loaded").await.json();
        let entry = loaded["models"].as_array()?.iter().find(|one| one["id"] == model)?;
        u32::try_from(entry["runtime_status"]["pid"].as_u64()?).ok()
    }
}

fn data_of(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

fn model_in(folder: &TempDir, name: &str) -> PathBuf {
    data_of(folder).join("models").join(format!("{name}.gguf"))
}
