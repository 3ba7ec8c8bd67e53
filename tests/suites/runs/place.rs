//! The places where a run is carried out.

use hearth_auth::Keys;
use hearth_domain::{NodeId, Owner};
use hearth_store::nodes::NodeRecord;
use hearth_tests::{
    Client, Events, FaultProxy, Home, Process, Reply, Setup, Upstream, endless_run_of, eventually, hearth,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A gateway at home, and the place of its runs.
pub(crate) struct Place {
    pub(crate) home: Home,
    /// The name of the model that a request asks for.
    pub(crate) model: String,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) node: Option<DirectNode>,
}

/// A node in a process of its own, which the gateway calls at an address: that of a proxy between them.
pub(crate) struct DirectNode {
    pub(crate) process: Process,
    pub(crate) proxy: FaultProxy,
    _folder: TempDir,
}

impl Place {
    /// The node in the gateway's process.
    pub(crate) async fn in_process() -> Self {
        let home = Home::start().await;
        Self { model: home.model.clone(), home, upstream: None, node: None }
    }

    /// A provider, which sends one piece of an answer and then nothing.
    pub(crate) async fn provider() -> Self {
        let upstream = Upstream::start().await;
        let settings = format!(
            "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\nmodels = ['big']\nbetween_bytes_seconds = 60\n",
            upstream.url
        );
        let home = Setup::new().arguments(&["--no-node"]).settings(&settings).start().await;
        Self { home, model: "rig:big".to_owned(), upstream: Some(upstream), node: None }
    }

    /// A node at an address.
    pub(crate) async fn direct() -> Self {
        let home = Home::start_with(&["--no-node"]).await;
        let (home, node) = home
            .restart_after(async |store| {
                let secret = store.secret(None).await.unwrap();
                let key = Keys::derive(&secret).unwrap().link().public_key();
                let owner = Owner::of_record(store.operator().await.unwrap(), None);
                let (folder, id) = (TempDir::new().unwrap(), NodeId::new());
                let data = folder.path().join("node").to_str().unwrap().to_owned();
                let arguments = [
                    "node",
                    "run",
                    "--json",
                    "--port",
                    "0",
                    "--id",
                    &id.to_string(),
                    "--gateway-key",
                    &key,
                    "--data",
                    &data,
                ];
                let mut process =
                    Process::spawn(hearth(folder.path(), &arguments), folder.path().join("node.log"));
                let ready = process.ready().await;
                let proxy = FaultProxy::start(ready["url"].as_str().unwrap()).await.unwrap();
                let record = NodeRecord { url: Some(proxy.url()), ..NodeRecord::new(id, owner, "box") };
                store.nodes().put(&record).await.unwrap();
                DirectNode { process, proxy, _folder: folder }
            })
            .await;
        let client = home.client();
        let model = eventually("the node's model", async || {
            let models = client.get("/v1/models").await.json();
            models["data"].as_array()?.first()?["id"].as_str().map(str::to_owned)
        })
        .await;
        Self { home, model, upstream: None, node: Some(node) }
    }

    pub(crate) fn client(&self) -> Client {
        self.home.client()
    }

    /// Starts a run without an end, and reads up to its first piece of text.
    pub(crate) async fn begin(&self, on_disconnect: &Value) -> Events {
        if let Some(upstream) = &self.upstream {
            let chunk =
                json!({"choices": [{"index": 0, "delta": {"content": "Once upon"}, "finish_reason": null}]});
            upstream.reply(Reply::begun(&[chunk]).then_silence());
        }
        let mut body = endless_run_of(&self.model, 3500);
        body["on_disconnect"] = on_disconnect.clone();
        let mut stream = self.client().stream("/v1/generate", &body).await;
        stream.next_named("delta").await;
        stream
    }

    /// Ends everything.
    pub(crate) async fn stop(self) {
        self.home.stop().await;
        if let Some(node) = self.node {
            node.process.stop().await;
        }
    }
}

/// The record of a run.
pub(crate) async fn record(client: &Client, run: &str) -> Value {
    client.get(&format!("/v1/requests/{run}")).await.json()
}

/// The record of a run once it has ended.
pub(crate) async fn ended(client: &Client, run: &str) -> Value {
    eventually("the end of the run", async || {
        let record = record(client, run).await;
        record["finished_at"].is_string().then_some(record)
    })
    .await
}

/// Follows a run after an event.
pub(crate) async fn follow(client: &Client, run: &str, after: u64) -> Events {
    client
        .events(client.request(reqwest::Method::GET, &format!("/v1/requests/{run}/events?after={after}")))
        .await
}
