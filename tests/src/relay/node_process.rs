//! `hearth node` as a process: enrolled by a code, and without a port that its gateway reaches.

use std::path::PathBuf;

use hearth_auth::NodeKey;
use hearth_domain::NodeId;
use hearth_node::link::NodeIdentity;
use tempfile::TempDir;

use crate::{
    Process,
    binaries::{keep_backend_results, share_backend_results},
    hearth,
    model::copy_image_model,
    run, signal,
};

/// An enrolled node, running or not.
#[derive(Debug)]
pub struct NodeProcess {
    /// Its id.
    pub id: NodeId,
    /// The address at which it listens, if it does and runs.
    pub url: Option<String>,
    variables: Vec<(String, String)>,
    process: Option<Process>,
    folder: TempDir,
}

impl NodeProcess {
    /// Enrols a node at the gateway at `url` by a code.
    ///
    /// # Panics
    /// If the gateway refuses it.
    pub async fn enroll(url: &str, code: &str, variables: &[(&str, &str)]) -> Self {
        Self::enroll_as(url, code, &[], variables).await
    }

    /// Enrols a node that listens, and that the gateway reaches at `address`.
    ///
    /// # Panics
    /// If the gateway refuses it.
    pub async fn enroll_at(url: &str, code: &str, address: &str) -> Self {
        let listens = [("HEARTH_NODE__LISTEN", "true"), ("HEARTH_PORT", "0")];
        Self::enroll_as(url, code, &["--url", address], &listens).await
    }

    async fn enroll_as(url: &str, code: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let data = folder.path().join("node");
        share_backend_results(&data);
        let mut command = hearth(folder.path(), &["node", "enroll", url, code, "--json"]);
        command.args(arguments).arg("--data").arg(&data);
        let ended = run(command, "").await;
        assert!(ended.status.success(), "{ended:?}");
        let line: serde_json::Value =
            serde_json::from_str(ended.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        let id = line["node"].as_str().and_then(|id| id.parse().ok());
        let id = id.unwrap_or_else(|| panic!("no node in {line}"));
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { id, url: None, variables: variables.collect(), process: None, folder }
    }

    /// Starts it, and waits until its model is loaded.
    ///
    /// # Panics
    /// If it doesn't start.
    pub async fn start(&mut self) {
        let data = self.data();
        let mut command = hearth(self.folder.path(), &["node", "run", "--json"]);
        command.arg("--data").arg(&data).envs(self.variables.iter().map(|(name, value)| (name, value)));
        let mut process = Process::spawn(command, self.folder.path().join("node.log"));
        let ready = process.ready().await;
        self.url = ready["url"].as_str().map(str::to_owned);
        keep_backend_results(&data);
        self.process = Some(process);
    }

    /// Puts the small image model into its model folder.
    pub fn add_image_model(&self, name: &str) {
        copy_image_model(&self.data().join("models").join(name));
    }

    /// Sets a variable for the next start.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Ctrl-C, and a clean end.
    ///
    /// # Panics
    /// If it ends badly.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop().await;
        }
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Sends a signal, such as `STOP`.
    ///
    /// # Panics
    /// If it isn't running.
    pub async fn signal(&self, name: &str) {
        let pid = self.process.as_ref().map(Process::pid);
        signal(name, pid.unwrap_or_else(|| panic!("the node isn't running"))).await;
    }

    /// Its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process.as_ref().map(Process::stderr).unwrap_or_default()
    }

    /// Its private key.
    ///
    /// # Panics
    /// If it can't be read.
    #[must_use]
    pub fn key(&self) -> NodeKey {
        let identity = NodeIdentity::load(&self.data()).unwrap_or_else(|error| panic!("{error}"));
        identity.unwrap_or_else(|| panic!("the node isn't enrolled")).key
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("node")
    }
}
