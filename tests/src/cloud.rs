//! The cloud's shape on one machine: each function a process of its own under the Lambda emulator, the
//! AWS services behind a socket, and a node that registered itself. A function may do what its role in
//! `infra/template.yaml` allows.

use std::{path::Path, sync::Arc};

use aws_emulator::AwsEmulator;
use hearth_auth::{ApiToken, Keys};
use hearth_domain::{NodeId, Owner, Scope, Secret, UserId};
use hearth_store::{Clients, Names, Store, nodes::NodeRecord, tokens::TokenRecord};
use lambda_emulator::{Emulator, FunctionProgram, WebSocketApi, WebSocketPort};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    Process, binary,
    cloud_api::binary_media_types,
    hearth,
    people::Person,
    roles::{Resources, SOCKET_API, add_roles},
};

const TABLE: &str = "hearth";
const BUCKET: &str = "hearth-media";
const SECRET: &str = "hearth/gateway";
const PROVIDER_KEYS: &str = "hearth/provider-keys";
const KMS_KEY: &str = "hearth-keys";
/// The template's default.
const STAGE: &str = "dev";

/// Stores, node and owner; functions are started as they are needed. It fails its test if a role didn't allow a call.
pub struct Cloud {
    /// The owner's token.
    pub token: String,
    emulator: AwsEmulator,
    services: Services,
    sockets: WebSocketApi,
    store: Store,
    _node: Option<Process>,
    _folder: TempDir,
}

/// The AWS services behind a socket.
struct Services {
    url: String,
    secret_key: String,
    server: JoinHandle<()>,
}

impl Cloud {
    /// Starts stores and node, and registers the node and a token of its owner.
    ///
    /// # Panics
    /// If any of it fails.
    pub async fn start() -> Self {
        Self::start_with_node(&[]).await
    }

    /// The same with variables for the node.
    ///
    /// # Panics
    /// If any of it fails.
    pub async fn start_with_node(variables: &[(&str, &str)]) -> Self {
        Self::start_as(Some(variables), &[]).await
    }

    /// The same with parameters of the stack, on which the roles depend.
    ///
    /// # Panics
    /// If any of it fails.
    pub async fn start_with_parameters(parameters: &[(&str, &str)]) -> Self {
        Self::start_as(Some(&[]), parameters).await
    }

    /// The same without a node.
    ///
    /// # Panics
    /// If any of it fails.
    pub async fn start_without_node() -> Self {
        Self::start_as(None, &[]).await
    }

    async fn start_as(node_variables: Option<&[(&str, &str)]>, parameters: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let embedded = AwsEmulator::open(&folder.path().join("aws"), BUCKET)
            .unwrap_or_else(|error| panic!("the stores: {error}"));
        let secrets = [("Secret", SECRET), ("ProviderKeys", PROVIDER_KEYS)];
        add_roles(
            &embedded,
            &Resources { table: TABLE, bucket: BUCKET, secrets, kms_key: KMS_KEY },
            parameters,
        );
        let services = Services::serve(&embedded).await;
        let sockets = serve_sockets(&embedded, &services).await;
        let store = store(&embedded, &services.url);
        let keys = keys(&store).await;
        let owner = store.operator().await.unwrap_or_else(|error| panic!("the operator: {error}"));
        let node_owner = Owner::of_record(owner, None);
        let node = match node_variables {
            Some(variables) => Some(start_node(&store, &keys, node_owner, folder.path(), variables).await),
            None => None,
        };
        let token = create_token(&store, owner).await;
        Self { token, emulator: embedded, services, sockets, store, _node: node, _folder: folder }
    }

    /// A token of another user, without any data.
    ///
    /// # Panics
    /// If it can't be stored.
    pub async fn token_of_a_stranger(&self) -> String {
        Person::with_organisation(&self.store).await.token
    }

    /// A user of another organisation, which has a node of its own with the same model.
    ///
    /// # Panics
    /// If it can't be stored, or the node doesn't start.
    pub async fn organisation_with_a_node(&self) -> (Person, Process) {
        let person = Person::with_organisation(&self.store).await;
        let secret = self.store.secret(None).await.unwrap_or_else(|error| panic!("the secret: {error}"));
        let keys = Keys::derive(&secret).unwrap_or_else(|error| panic!("the keys: {error}"));
        let folder = self._folder.path().join(person.organisation.to_string());
        std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("the node's folder: {error}"));
        let owner = Owner { user: person.user, organisation: person.organisation };
        let node = start_node(&self.store, &keys, owner, &folder, &[]).await;
        (person, node)
    }

    /// The store, without the limits of a role.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Deletes an object of the bucket, as a lifecycle rule does.
    ///
    /// # Panics
    /// If it can't be deleted.
    pub async fn delete_object(&self, key: &str) {
        let s3 = self.emulator.s3(&self.services.url);
        let deleted = s3.delete_object().bucket(BUCKET).key(key).send().await;
        deleted.unwrap_or_else(|error| panic!("{key}: {error}"));
    }

    /// The keys of the bucket's objects with this prefix.
    ///
    /// # Panics
    /// If they can't be listed.
    pub async fn objects(&self, prefix: &str) -> Vec<String> {
        let s3 = self.emulator.s3(&self.services.url);
        let listed = s3.list_objects_v2().bucket(BUCKET).prefix(prefix).send().await;
        let listed = listed.unwrap_or_else(|error| panic!("{prefix}: {error}"));
        listed.contents().iter().filter_map(|object| object.key().map(ToOwned::to_owned)).collect()
    }

    /// The permissions of a function's role that none of its calls has used yet.
    #[must_use]
    pub fn unused_permissions(&self, function: &str) -> Vec<String> {
        let prefix = format!("{function}: ");
        self.emulator.unused_permissions().into_iter().filter(|unused| unused.starts_with(&prefix)).collect()
    }

    /// The emulated services of AWS.
    #[must_use]
    pub fn aws(&self) -> &AwsEmulator {
        &self.emulator
    }

    /// The WebSocket API, before the function `socket`.
    #[must_use]
    pub fn sockets(&self) -> &WebSocketApi {
        &self.sockets
    }

    /// The variables of a function, such as `hearth-fn-generate`, as in the template.
    pub(crate) fn function_env(&self, name: &str) -> Vec<(String, String)> {
        function_env(name, &self.services, &self.sockets.endpoint())
    }

    /// Starts the function's binary, such as `hearth-fn-generate`, with the template's environment.
    ///
    /// # Panics
    /// If it doesn't start.
    pub async fn function(&self, name: &str) -> Emulator {
        self.function_with(name, &[]).await
    }

    /// The same with further variables, which override the others.
    ///
    /// # Panics
    /// If it doesn't start.
    pub async fn function_with(&self, name: &str, variables: &[(&str, &str)]) -> Emulator {
        let mut env = self.function_env(name);
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let env: Vec<(&str, &str)> =
            env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let started = Emulator::start(&binary(name), &env).await;
        let started = started.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        started.with_binary_media_types(binary_media_types())
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
        let secret_key = embedded.credentials().secret_access_key().to_owned();
        Self { url: format!("http://{address}"), secret_key, server }
    }
}

impl Drop for Cloud {
    #[expect(clippy::print_stderr, reason = "a failed test may have failed because of it")]
    fn drop(&mut self) {
        let denied = self.emulator.denied_calls();
        if denied.is_empty() {
            return;
        }
        let message = format!("the roles of infra/template.yaml don't allow: {denied:#?}");
        if std::thread::panicking() {
            eprintln!("{message}");
        } else {
            panic!("{message}");
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves the WebSocket API, whose function is started when the first socket is opened.
async fn serve_sockets(emulator: &AwsEmulator, services: &Services) -> WebSocketApi {
    const NAME: &str = "hearth-fn-socket";
    let port = WebSocketPort::bind(STAGE).await.unwrap_or_else(|error| panic!("a port: {error}"));
    let env = function_env(NAME, services, &port.endpoint());
    let emulator = emulator.clone();
    let may_manage = move |access_key: &str, method: &str, id: &str| {
        let path = format!("{STAGE}/{method}/@connections/{id}");
        emulator.may_manage_connection(access_key, SOCKET_API, &path)
    };
    port.serve(FunctionProgram { binary: binary(NAME), env }, Arc::new(may_manage))
}

fn function_env(name: &str, services: &Services, socket_endpoint: &str) -> Vec<(String, String)> {
    let (secret, provider_keys) = (AwsEmulator::secret_arn(SECRET), AwsEmulator::secret_arn(PROVIDER_KEYS));
    let kms_key = AwsEmulator::kms_key_arn(KMS_KEY);
    let queue = |name: &str| AwsEmulator::queue_url(&services.url, name);
    [
        ("HEARTH_TABLE", TABLE),
        ("HEARTH_BUCKET", BUCKET),
        ("HEARTH_SECRET", &secret),
        ("HEARTH_PROVIDER_KEYS", &provider_keys),
        ("HEARTH_KMS_KEY", &kms_key),
        ("HEARTH_LOG_LEVEL", "info"),
        ("HEARTH_ALLOW_PRIVATE_NODES", "true"),
        ("HEARTH_SOCKET_ENDPOINT", socket_endpoint),
        ("HEARTH_JOB_QUEUE_HIGH", &queue("JobsHigh")),
        ("HEARTH_JOB_QUEUE", &queue("JobsNormal")),
        ("HEARTH_JOB_QUEUE_LOW", &queue("JobsLow")),
        ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
        ("AWS_ENDPOINT_URL", &services.url),
        // Names the role.
        ("AWS_ACCESS_KEY_ID", name),
        ("AWS_SECRET_ACCESS_KEY", &services.secret_key),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The store over embedded services.
fn store(embedded: &AwsEmulator, url: &str) -> Store {
    let (dynamodb, kms) = (embedded.dynamodb(), embedded.kms());
    let clients = Clients { dynamodb, kms, s3: embedded.s3(url), secrets: embedded.secrets() };
    let names = Names {
        table: TABLE.to_owned(),
        bucket: BUCKET.to_owned(),
        secret: SECRET.to_owned(),
        provider_keys: PROVIDER_KEYS.to_owned(),
        kms_key: AwsEmulator::kms_key_arn(KMS_KEY),
    };
    Store::new(clients, names)
}

/// Creates the resources of the template: the table and the secrets.
async fn keys(store: &Store) -> Keys {
    store.migrate().await.unwrap_or_else(|error| panic!("the table: {error}"));
    let secret = store.secret(Some(Keys::generate_secret)).await;
    let secret = secret.unwrap_or_else(|error| panic!("the secret: {error}"));
    let provider_keys = store.put_provider_keys(&Secret::new("{}")).await;
    provider_keys.unwrap_or_else(|error| panic!("the secret of the providers' keys: {error}"));
    Keys::derive(&secret).unwrap_or_else(|error| panic!("the keys: {error}"))
}

async fn start_node(
    store: &Store,
    keys: &Keys,
    owner: Owner,
    folder: &Path,
    variables: &[(&str, &str)],
) -> Process {
    let id = NodeId::new();
    let (data, id_text, key) = (folder.join("node"), id.to_string(), keys.link().public_key());
    let mut command =
        hearth(folder, &["node", "run", "--json", "--port", "0", "--id", &id_text, "--gateway-key", &key]);
    command.arg("--data").arg(data).envs(variables.iter().copied());
    let mut process = Process::spawn(command, folder.join("node.log"));
    let ready = process.ready().await;
    assert_eq!(ready["node"], id_text, "{ready}");
    let url = ready["url"].as_str().map(str::to_owned);
    let record = NodeRecord { url, ..NodeRecord::new(id, owner, "home") };
    store.nodes().put(&record).await.unwrap_or_else(|error| panic!("the node's record: {error}"));
    process
}

/// Stores a token with every scope, and returns its text.
///
/// # Panics
/// If the store refuses it.
pub async fn create_token(store: &Store, owner: UserId) -> String {
    let token = ApiToken::generate();
    let record = TokenRecord {
        name: "owner".to_owned(),
        prefix: token.prefix().to_owned(),
        scopes: Scope::ALL.to_vec(),
        ..TokenRecord::new(token.hash(), Owner::of_record(owner, None))
    };
    store.tokens().create(&record).await.unwrap_or_else(|error| panic!("the token's record: {error}"));
    token.expose().to_owned()
}
