//! An OpenID provider of the tests: discovery, keys that change, the authorization code flow with PKCE, and the device flow. It
//! asks nobody: whoever comes is the user of the test.

mod signing;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use signing::{SigningKey, encode};

/// The id of the only client.
const CLIENT_ID: &str = "hearth-cli";

/// A running provider.
pub struct OpenIdProvider {
    /// Its issuer, an address of this machine.
    pub issuer: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    issuer: String,
    state: Mutex<ProviderState>,
    key_fetches: AtomicUsize,
    is_down: AtomicBool,
}

struct ProviderState {
    /// The key that signs.
    key: SigningKey,
    /// The public keys that are published.
    jwks: Vec<Value>,
    /// The claims of the next user.
    user: Map<String, Value>,
    /// Authorization requests by their codes.
    codes: HashMap<String, HashMap<String, String>>,
    /// Device codes, and whether the user has entered them.
    devices: HashMap<String, bool>,
    /// Claims that replace others in the next ID token.
    changes: Map<String, Value>,
}

impl std::fmt::Debug for OpenIdProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenIdProvider({})", self.issuer)
    }
}

impl OpenIdProvider {
    /// Starts one, whose user is `ada`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.unwrap_or_else(|error| panic!("a port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("a port: {error}"));
        let issuer = format!("http://{address}");
        let key = SigningKey::rsa("rsa-1");
        let user = json!({"sub": "ada", "name": "Ada", "email": "ada@example.com", "email_verified": true});
        let state = ProviderState {
            jwks: vec![key.jwk()],
            key,
            user: object(user),
            codes: HashMap::new(),
            devices: HashMap::new(),
            changes: Map::new(),
        };
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            state: Mutex::new(state),
            key_fetches: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/device", post(device))
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), refuse_when_down))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Self { issuer, shared, server }
    }

    /// The settings of a gateway that has it as the identity provider `test`, with these changes; null leaves a setting out.
    #[must_use]
    pub fn settings(&self, changes: Value) -> Value {
        let mut settings = json!({
            "issuer": self.issuer, "client_id": CLIENT_ID, "audiences": ["hearth-api"], "role": "developer",
            "allow_http": true,
        });
        for (name, value) in object(changes) {
            settings[name] = value;
        }
        json!({"test": settings})
    }

    /// The same for `hearth.toml`.
    #[must_use]
    pub fn settings_file(&self, changes: Value) -> String {
        let settings = &self.settings(changes)["test"];
        let fields = object(settings.clone()).into_iter().filter(|(_, value)| !value.is_null());
        let lines = fields.map(|(name, value)| format!("{name} = {}\n", toml(&value)));
        format!("[identity_providers.test]\n{}", lines.collect::<String>())
    }

    /// Has the next user be this one: claims beside those of a token.
    pub fn set_user(&self, claims: Value) {
        self.state().user = object(claims);
    }

    /// Changes claims of the next ID token of a flow; null removes one.
    pub fn change_next(&self, claims: Value) {
        self.state().changes = object(claims);
    }

    /// Signs with a new key from now on, and publishes it, with the earlier ones or alone.
    pub fn rotate(&self, id: &str, with_earlier: bool) {
        let mut state = self.state();
        state.key = SigningKey::ec(id);
        let jwk = state.key.jwk();
        if !with_earlier {
            state.jwks.clear();
        }
        state.jwks.push(jwk);
    }

    /// Answers every request with 503, or serves again.
    pub fn set_down(&self, is_down: bool) {
        self.shared.is_down.store(is_down, Ordering::SeqCst);
    }

    /// The number of times that the keys were fetched.
    #[must_use]
    pub fn key_fetches(&self) -> usize {
        self.shared.key_fetches.load(Ordering::SeqCst)
    }

    /// Has the user enter every code of a device that waits.
    pub fn approve_devices(&self) {
        self.state().devices.values_mut().for_each(|approved| *approved = true);
    }

    /// An access token for the API, with changes of its claims and its header; null removes one.
    #[must_use]
    pub fn access_token(&self, claims: Value, header: Value) -> String {
        self.sign(json!({"aud": "hearth-api"}), claims, header)
    }

    /// An ID token for the client, as a flow with this nonce returns it.
    #[must_use]
    pub fn id_token(&self, nonce: &str, claims: Value) -> String {
        self.sign(json!({"aud": CLIENT_ID, "nonce": nonce}), claims, json!({}))
    }

    fn sign(&self, claims: Value, changes: Value, header: Value) -> String {
        let state = self.state();
        let claims = with(with(base_claims(&self.issuer, &state), object(claims)), object(changes));
        state.key.token(&with(state.key.header(), object(header)), &claims)
    }

    fn state(&self) -> MutexGuard<'_, ProviderState> {
        self.shared.state()
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, ProviderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn base_claims(issuer: &str, state: &ProviderState) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    with(json!({"iss": issuer, "iat": now, "exp": now + 300, "jti": random()}), state.user.clone())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// The object with these changes: null removes a field.
fn with(mut value: Value, changes: Map<String, Value>) -> Value {
    for (name, change) in changes {
        match (change, &mut value) {
            (Value::Null, Value::Object(object)) => drop(object.remove(&name)),
            (change, _) => value[name] = change,
        }
    }
    value
}

/// A value as TOML has it within a line.
fn toml(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", list(items.iter().map(toml).collect())),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} = {}", toml(value)));
            format!("{{{}}}", list(fields.collect()))
        }
        other => other.to_string(),
    }
}

fn random() -> String {
    hearth_domain::RunId::new().to_string()
}

async fn refuse_when_down(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if shared.is_down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let issuer = &shared.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    }))
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.key_fetches.fetch_add(1, Ordering::SeqCst);
    Json(json!({"keys": shared.state().jwks}))
}

/// Sends the user back at once, as if they had signed in.
async fn authorize(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let field = |name: &str| query.get(name).cloned().unwrap_or_default();
    let is_valid = field("response_type") == "code"
        && field("client_id") == CLIENT_ID
        && field("code_challenge_method") == "S256"
        && field("code_challenge").len() == 43
        && field("scope").split(' ').any(|scope| scope == "openid")
        && field("nonce").len() >= 20
        && field("state").len() >= 20
        && field("redirect_uri").starts_with("http://127.0.0.1:");
    if !is_valid {
        return (StatusCode::BAD_REQUEST, format!("a bad authorization request: {query:?}")).into_response();
    }
    let code = random();
    let location = format!(
        "{}?code={code}&state={}&iss={}",
        field("redirect_uri"),
        field("state"),
        shared.issuer.replace(':', "%3A").replace('/', "%2F")
    );
    shared.state().codes.insert(code, query);
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

async fn device(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let form = form(&body);
    if form.get("client_id").map(String::as_str) != Some(CLIENT_ID) {
        return oauth_error("invalid_client");
    }
    let code = random();
    shared.state().devices.insert(code.clone(), false);
    let answer = json!({
        "device_code": code, "user_code": "WDJB-MJHT", "verification_uri": format!("{}/enter", shared.issuer),
        "expires_in": 300, "interval": 0,
    });
    Json(answer).into_response()
}

async fn token(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let form = form(&body);
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    if field("client_id") != CLIENT_ID {
        return oauth_error("invalid_client");
    }
    let mut state = shared.state();
    let nonce = match field("grant_type").as_str() {
        "authorization_code" => {
            let Some(request) = state.codes.remove(&field("code")) else {
                return oauth_error("invalid_grant");
            };
            let challenge = encode(digest(&SHA256, field("code_verifier").as_bytes()));
            let is_bound = request.get("code_challenge") == Some(&challenge)
                && request.get("redirect_uri") == Some(&field("redirect_uri"));
            if !is_bound {
                return oauth_error("invalid_grant");
            }
            request.get("nonce").cloned()
        }
        "urn:ietf:params:oauth:grant-type:device_code" => match state.devices.get(&field("device_code")) {
            Some(true) => None,
            Some(false) => return oauth_error("authorization_pending"),
            None => return oauth_error("expired_token"),
        },
        _ => return oauth_error("unsupported_grant_type"),
    };
    let claims = with(base_claims(&shared.issuer, &state), object(json!({"aud": CLIENT_ID, "nonce": nonce})));
    let claims = with(claims, std::mem::take(&mut state.changes));
    let id_token = state.key.token(&state.key.header(), &claims);
    Json(json!({"access_token": random(), "token_type": "Bearer", "expires_in": 300, "id_token": id_token}))
        .into_response()
}

fn oauth_error(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": code}))).into_response()
}

fn form(body: &str) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://form/?{body}"));
    let url = url.unwrap_or_else(|error| panic!("{body}: {error}"));
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}
