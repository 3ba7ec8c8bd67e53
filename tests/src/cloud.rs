//! The cloud's shape on one machine: each function a process of its own under the Lambda emulator, the
//! AWS services behind a socket, and a node that registered itself.

use std::path::Path;

use aws_emulator::AwsEmulator;
use hearth_auth::{ApiToken, Keys};
use hearth_domain::{NodeId, Scope, Timestamp, TokenId, UserId};
use hearth_store::{Clients, Names, Store, nodes::NodeRecord, tokens::TokenRecord};
use lambda_emulator::Emulator;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Process, binary, hearth};

const TABLE: &str = "hearth";
const BUCKET: &str = "hearth-media";
const SECRET: &str = "hearth/gateway";
const PROVIDER_KEYS: &str = "hearth/provider-keys";

/// Stores, node and owner; functions are started as they are needed.
pub struct Cloud {
    /// The owner's token.
    pub token: String,
    services: Services,
    store: Store,
    _node: Process,
    _folder: TempDir,
}

/// The AWS services behind a socket.
struct Services {
    url: String,
    secret_key: String,
    access_key: String,
    server: JoinHandle<()>,
}

impl Cloud {
    /// Starts stores and node, and registers the node and a token of its owner.
    ///
    /// # Panics
    /// If any of it fails.
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let embedded = AwsEmulator::open(&folder.path().join("aws"), BUCKET)
            .unwrap_or_else(|error| panic!("the stores: {error}"));
        let services = Services::serve(&embedded).await;
        let store = store(&embedded, &services.url);
        let keys = keys(&store).await;
        let owner = UserId::new();
        let node = start_node(&store, &keys, owner, folder.path()).await;
        let token = create_token(&store, owner).await;
        Self { token, services, store, _node: node, _folder: folder }
    }

    /// A token of another user, without any data.
    ///
    /// # Panics
    /// If it can't be stored.
    pub async fn token_of_a_stranger(&self) -> String {
        create_token(&self.store, UserId::new()).await
    }

    /// Starts the function's binary, such as `hearth-fn-generate`, with the template's environment.
    ///
    /// # Panics
    /// If it doesn't start.
    pub async fn function(&self, name: &str) -> Emulator {
        let env = [
            ("HEARTH_TABLE", TABLE),
            ("HEARTH_BUCKET", BUCKET),
            ("HEARTH_SECRET", SECRET),
            ("HEARTH_PROVIDER_KEYS", PROVIDER_KEYS),
            ("HEARTH_LOG_LEVEL", "info"),
            ("HEARTH_ALLOW_PRIVATE_NODES", "true"),
            ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
            ("AWS_ENDPOINT_URL", &self.services.url),
            ("AWS_ACCESS_KEY_ID", &self.services.access_key),
            ("AWS_SECRET_ACCESS_KEY", &self.services.secret_key),
        ];
        let started = Emulator::start(&binary(name), &env).await;
        started.unwrap_or_else(|failure| panic!("{name}: {failure}"))
    }
}

impl Services {
    async fn serve(embedded: &AwsEmulator) -> Self {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("a port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("a port: {error}"));
        let router = embedded.router(BUCKET);
        let server = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        let credentials = embedded.credentials();
        Self {
            url: format!("http://{address}"),
            secret_key: credentials.secret_access_key().to_owned(),
            access_key: credentials.access_key_id().to_owned(),
            server,
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The store over embedded services.
fn store(embedded: &AwsEmulator, url: &str) -> Store {
    let clients =
        Clients { dynamodb: embedded.dynamodb(), s3: embedded.s3(url), secrets: embedded.secrets() };
    let names = Names {
        table: TABLE.to_owned(),
        bucket: BUCKET.to_owned(),
        secret: SECRET.to_owned(),
        provider_keys: PROVIDER_KEYS.to_owned(),
    };
    Store::new(clients, names)
}

/// Creates the resources of the template: the table and the secret.
async fn keys(store: &Store) -> Keys {
    store.migrate().await.unwrap_or_else(|error| panic!("the table: {error}"));
    let secret = store.secret(Some(Keys::generate_secret)).await;
    let secret = secret.unwrap_or_else(|error| panic!("the secret: {error}"));
    Keys::derive(&secret).unwrap_or_else(|error| panic!("the keys: {error}"))
}

async fn start_node(store: &Store, keys: &Keys, owner: UserId, folder: &Path) -> Process {
    let id = NodeId::new();
    let (data, id_text, key) = (folder.join("node"), id.to_string(), keys.link().public_key());
    let mut command =
        hearth(folder, &["node", "--json", "--port", "0", "--id", &id_text, "--gateway-key", &key]);
    command.arg("--data").arg(data);
    let mut process = Process::spawn(command, folder.join("node.log"));
    let ready = process.ready().await;
    assert_eq!(ready["node"], id_text, "{ready}");
    let url = ready["url"].as_str().map(str::to_owned).unwrap_or_default();
    let record = NodeRecord { id, owner, name: "home".to_owned(), url, created_at: Timestamp::now() };
    store.nodes().put(&record).await.unwrap_or_else(|error| panic!("the node's record: {error}"));
    process
}

/// Stores a token with every scope.
pub(crate) async fn create_token(store: &Store, owner: UserId) -> String {
    let token = ApiToken::generate();
    let record = TokenRecord {
        id: TokenId::new(),
        hash: token.hash(),
        owner,
        name: "owner".to_owned(),
        prefix: token.prefix().to_owned(),
        scopes: Scope::ALL.to_vec(),
        created_at: Timestamp::now(),
        expires_at: None,
        revoked_at: None,
    };
    store.tokens().create(&record).await.unwrap_or_else(|error| panic!("the token's record: {error}"));
    token.expose().to_owned()
}
