//! Stored keys of users, teams and organisations: which key pays, who may use it, and access tokens that end.

use std::collections::BTreeMap;

use futures::future::join_all;
use hearth_auth::Keys;
use hearth_domain::{
    CredentialId, Delivery, Generation, Message, ModelId, OrganisationId, Payer, Role, RunId, Sampling,
    Selection, TeamId, TextTask, UserId,
};
use hearth_gateway::{Caller, Gateway, HttpClients, Options, Routing, accounts::provider_keys::KeyScope};
use hearth_settings::{GatewaySettings, KeySettings};
use hearth_store::{Store, database::Durability, home, organisations::TeamRecord};
use hearth_tests::{Reply, Upstream, within};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A key file of a service account, with the private key of a test.
const PRIVATE_KEY: &str = include_str!("service_account_key.pem");

pub(crate) struct World {
    pub(crate) vendor: Upstream,
    pub(crate) store: Store,
    pub(crate) gateway: Gateway,
    folder: TempDir,
}

/// A gateway with the provider `rig` of the operator, whose key is `sk-operator`.
pub(crate) async fn world(keys: KeySettings) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (vendor, folder) =
        (Upstream::start().await, TempDir::new().unwrap_or_else(|error| panic!("{error}")));
    let store = home::open(folder.path(), Durability::Os).unwrap_or_else(|error| panic!("{error}"));
    store.migrate().await.unwrap_or_else(|error| panic!("{error}"));
    let gateway = gateway(&store, &vendor, keys);
    World { vendor, store, gateway, folder }
}

pub(crate) fn gateway(store: &Store, vendor: &Upstream, keys: KeySettings) -> Gateway {
    gateway_with(store, vendor, GatewaySettings { keys, ..GatewaySettings::default() })
}

pub(crate) fn gateway_with(store: &Store, vendor: &Upstream, settings: GatewaySettings) -> Gateway {
    let rig = json!({
        "kind": "openai_compatible", "base_url": format!("{}/v1", vendor.url), "api_key": "sk-operator", "models": ["big"],
    });
    let rig = serde_json::from_value(rig).unwrap_or_else(|error| panic!("{error}"));
    let routing = Routing { providers: BTreeMap::from([("rig".to_owned(), rig)]), ..Routing::default() };
    let options = Options {
        private_nodes: true,
        long_lived: true,
        new_secret: Some(Keys::generate_secret),
        sockets: None,
        jobs: None,
        settings,
    };
    let http = HttpClients::new().unwrap_or_else(|error| panic!("{error}"));
    Gateway::new(store.clone(), http, options, routing)
}

pub(crate) fn private() -> KeySettings {
    KeySettings { private_addresses: true, ..KeySettings::default() }
}

pub(crate) fn answer() -> Reply {
    let chunk = |delta: Value, finish: Option<&str>| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": "Hi."}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ])
}

impl World {
    pub(crate) async fn ask(&self, caller: &Caller, model: &str) -> Result<Selection, ApiError> {
        ask(&self.gateway, caller, model).await
    }

    /// The payer of a run, and the key that the vendor received.
    async fn payer(&self, caller: &Caller, model: &str) -> (Option<Payer>, String) {
        self.vendor.reply(answer());
        let selection = self.ask(caller, model).await.unwrap_or_else(|error| panic!("{model}: {error}"));
        let received = self.vendor.received().pop().unwrap_or_else(|| panic!("no request"));
        let key = received.headers["authorization"].to_str().unwrap_or_default().to_owned();
        (selection.payer, key)
    }

    pub(crate) async fn create(&self, caller: &Caller, scope: KeyScope, body: Value) -> CredentialId {
        self.try_create(caller, scope, body).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn try_create(
        &self,
        caller: &Caller,
        scope: KeyScope,
        body: Value,
    ) -> Result<CredentialId, ApiError> {
        let body = serde_json::from_value(body).unwrap_or_else(|error| panic!("{error}"));
        let created = self.gateway.provider_keys().create(caller, scope, body).await?;
        Ok(created.id.parse().unwrap_or_else(|error| panic!("{error}")))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.vendor.url)
    }
}

/// Asks a model, and returns the selection of the run that has ended well.
async fn ask(gateway: &Gateway, caller: &Caller, model: &str) -> Result<Selection, ApiError> {
    let task = TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default());
    let generation = Generation::new(Some(ModelId::new(model)), task);
    let run = gateway.generate(caller, RunId::new(), generation, Delivery::Stream);
    let mut run = within("the run's beginning", Box::pin(run)).await?;
    let mut selected = None;
    while let Some(event) = within("an event", run.next()).await {
        match event.body {
            RunEventBody::Selected(selection) => selected = Some(selection),
            RunEventBody::Error { error } => return Err(error),
            _ => {}
        }
    }
    selected.ok_or_else(|| ApiError::new(ErrorCode::Internal, "the run has no selection"))
}

/// A member of an organisation that isn't the operator's.
pub(crate) fn member(organisation: OrganisationId, teams: &[TeamId]) -> Caller {
    Caller { user: UserId::new(), organisation, teams: teams.into(), is_operator: false, ..Caller::example() }
}

pub(crate) fn key(text: &str) -> Value {
    json!({"provider": "rig", "credential": {"key": text}})
}

#[tokio::test]
async fn user_pays_before_team_before_organisation_before_operator() {
    let world = world(private()).await;
    let organisation = OrganisationId::new();
    let team = TeamRecord::new(organisation, "platform".to_owned());
    world.store.organisations().create_team(&team).await.unwrap_or_else(|error| panic!("{error}"));
    let (ada, bob) = (member(organisation, &[team.id]), member(organisation, &[]));
    let stranger = member(OrganisationId::new(), &[]);
    let operators = (Some(Payer::Operator), "Bearer sk-operator".to_owned());
    assert_eq!(world.payer(&ada, "rig:big").await, operators);

    let scope = KeyScope::Organisation(organisation);
    world.create(&bob, scope, key("sk-organisation")).await;
    let mut of_team = key("sk-team");
    of_team["team"] = json!(team.id);
    let of_team = world.create(&bob, scope, of_team).await;
    let own = world.create(&ada, KeyScope::Own, key("sk-user")).await;
    let pays = |payer, key: &str| (Some(payer), format!("Bearer {key}"));
    assert_eq!(world.payer(&ada, "rig:big").await, pays(Payer::User, "sk-user"));
    assert_eq!(world.payer(&ada, "big").await, pays(Payer::User, "sk-user"), "by the model's name alone");
    assert_eq!(world.payer(&bob, "rig:big").await, pays(Payer::Organisation, "sk-organisation"));
    assert_eq!(world.payer(&stranger, "rig:big").await, operators, "another organisation's");
    // The same user in another organisation.
    let elsewhere = Caller { organisation: OrganisationId::new(), ..ada.clone() };
    assert_eq!(world.payer(&elsewhere, "rig:big").await, operators);

    let keys = world.gateway.provider_keys();
    keys.delete(&ada, KeyScope::Own, own).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.payer(&ada, "rig:big").await, pays(Payer::Team, "sk-team"));
    keys.delete(&bob, scope, of_team).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.payer(&ada, "rig:big").await, pays(Payer::Organisation, "sk-organisation"));
    // Of several the newest.
    world.create(&bob, scope, key("sk-rotated")).await;
    assert_eq!(world.payer(&ada, "rig:big").await, pays(Payer::Organisation, "sk-rotated"));
}

#[tokio::test]
async fn another_users_and_another_organisations_key_is_not_found() {
    let world = world(private()).await;
    let organisation = OrganisationId::new();
    let (ada, bob) = (member(organisation, &[]), member(organisation, &[]));
    let stranger = member(OrganisationId::new(), &[]);
    let own = world.create(&ada, KeyScope::Own, key("sk-user-0123456789")).await;
    let scope = KeyScope::Organisation(organisation);
    let shared = world.create(&ada, scope, key("sk-organisation-0123456789")).await;
    let keys = world.gateway.provider_keys();
    for (caller, scope, id) in [
        (&bob, KeyScope::Own, own),
        (&bob, scope, own),
        (&stranger, KeyScope::Own, own),
        (&stranger, scope, shared),
        (&stranger, KeyScope::Organisation(stranger.organisation), shared),
    ] {
        let error = keys.get(caller, scope, id).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{scope:?}");
        assert_eq!(keys.verify(caller, scope, id).await.unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(keys.delete(caller, scope, id).await.unwrap_err().code, ErrorCode::NotFound);
    }
    let listed = keys.list(&ada, KeyScope::Own).await.unwrap_or_else(|error| panic!("{error}"));
    let text = serde_json::to_string(&listed).unwrap_or_default();
    assert!(text.contains("…6789") && !text.contains("0123456789"), "{text}");
    assert_eq!(listed.provider_keys.len(), 1);
}

#[tokio::test]
async fn operators_key_serves_other_organisations_only_where_he_allows_it() {
    let settings = KeySettings { operator_pays_for: "other".to_owned(), ..private() };
    let world = world(settings).await;
    let stranger = member(OrganisationId::new(), &[]);
    let error = world.ask(&stranger, "rig:big").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderAuth);
    assert!(error.message.contains("hearth key set rig --user"), "{}", error.message);
    assert!(world.vendor.received().is_empty());
    let own = Caller { is_operator: true, ..stranger.clone() };
    assert_eq!(world.payer(&own, "rig:big").await.0, Some(Payer::Operator));
    world.create(&stranger, KeyScope::Own, key("sk-user")).await;
    assert_eq!(world.payer(&stranger, "rig:big").await.0, Some(Payer::User));
}

#[tokio::test]
async fn address_of_a_user_must_be_public_and_a_key_stays_at_its_own() {
    let world = world(KeySettings::default()).await;
    let ada = member(OrganisationId::new(), &[]);
    for (credential, field) in [
        (json!({"base_url": world.url("/v1"), "key": "k"}), "credential.base_url"),
        (json!({"base_url": "https://169.254.169.254/v1", "key": "k"}), "credential.base_url"),
        (json!({"base_url": "https://localhost/v1", "key": "k"}), "credential.base_url"),
        (json!({"base_url": "http://llm.example.org/v1", "key": "k"}), "credential.base_url"),
    ] {
        let body = json!({"provider": "mine", "kind": "endpoint_key", "credential": credential});
        let error = world.try_create(&ada, KeyScope::Own, body).await.unwrap_err();
        assert_eq!(error.param.as_deref(), Some(field), "{credential}");
    }
    let token = json!({"base_url": "https://llm.example.org/v1", "access_token": "a", "refresh_token": "r",
        "token_url": world.url("/token")});
    let body = json!({"provider": "mine", "kind": "oauth_token", "credential": token});
    let error = world.try_create(&ada, KeyScope::Own, body).await.unwrap_err();
    assert_eq!(error.param.as_deref(), Some("credential.token_url"));
    // The operator has set this address himself.
    world.create(&ada, KeyScope::Own, key("sk-user")).await;
    assert_eq!(world.payer(&ada, "rig:big").await.0, Some(Payer::User));
}

#[tokio::test]
async fn check_tells_a_good_key_from_a_bad_one() {
    let world = world(private()).await;
    let ada = member(OrganisationId::new(), &[]);
    let id = world.create(&ada, KeyScope::Own, key("sk-user-0123456789")).await;
    let keys = world.gateway.provider_keys();
    let check =
        || async { keys.verify(&ada, KeyScope::Own, id).await.unwrap_or_else(|error| panic!("{error}")) };
    let verify = || async {
        let change = serde_json::from_value(json!({"credential": {"key": "sk-user-0123456789"}}));
        let change = change.unwrap_or_else(|error| panic!("{error}"));
        let changed = keys.update(&ada, KeyScope::Own, id, change).await;
        changed.unwrap_or_else(|error| panic!("{error}"));
        check().await
    };
    world.vendor.page("/v1/models", Reply::json(200, &json!({"data": [{"id": "big"}, {"id": "small"}]})));
    let good = verify().await;
    assert_eq!(
        (good.valid, good.result.as_str()),
        (Some(true), "the provider accepts it, and lists 2 models")
    );
    let request = world.vendor.page_requests("/v1/models").pop().unwrap_or_else(|| panic!("no request"));
    assert_eq!(request.headers["authorization"], "Bearer sk-user-0123456789");
    // The vendor repeats the key in its error.
    let refusal = json!({"error": {"message": "the key sk-user-0123456789 is wrong"}});
    world.vendor.page("/v1/models", Reply::json(401, &refusal));
    let bad = verify().await;
    assert_eq!(bad.valid, Some(false), "{}", bad.result);
    assert!(!bad.result.contains("0123456789"), "{}", bad.result);
    let stored = keys.get(&ada, KeyScope::Own, id).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(stored.verified.and_then(|verified| verified.valid), Some(false));
    world.vendor.page("/v1/models", Reply::json(503, &json!({})));
    assert_eq!(verify().await.valid, None, "the provider is down");
    // The same secret isn't checked again so soon.
    let count = world.vendor.page_requests("/v1/models").len();
    assert_eq!(check().await.valid, None);
    assert_eq!(world.vendor.page_requests("/v1/models").len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_refresh_an_access_token_once() {
    let world = world(private()).await;
    let ada = member(OrganisationId::new(), &[]);
    let credential = json!({"base_url": world.url("/v1"), "access_token": "at-old", "expires_in": 0,
        "refresh_token": "rt-1", "token_url": world.url("/token"), "client_id": "c", "client_secret": "cs"});
    let body = json!({"provider": "mine", "kind": "oauth_token", "credential": credential});
    world.create(&ada, KeyScope::Own, body).await;
    // Two processes with five requests each.
    let other = gateway(&world.store, &world.vendor, private());
    world.vendor.reply(Reply::json(
        200,
        &json!({"access_token": "at-new", "refresh_token": "rt-2", "expires_in": 3600}),
    ));
    (0..10).for_each(|_| world.vendor.reply(answer()));
    let runs = (0..10).map(|number| {
        let gateway = if number % 2 == 0 { &world.gateway } else { &other };
        ask(gateway, &ada, "mine:big")
    });
    for run in join_all(runs).await {
        assert_eq!(run.unwrap_or_else(|error| panic!("{error}")).payer, Some(Payer::User));
    }
    let received = world.vendor.received();
    let (refreshes, runs): (Vec<_>, Vec<_>) =
        received.iter().partition(|request| request.path.starts_with("/token"));
    assert_eq!((refreshes.len(), runs.len()), (1, 10));
    let form = String::from_utf8_lossy(&refreshes[0].raw).into_owned();
    assert!(form.contains("refresh_token=rt%2D1") && form.contains("client_secret=cs"), "{form}");
    for run in runs {
        assert_eq!(run.headers["authorization"], "Bearer at-new");
    }
}

#[tokio::test]
async fn refused_refresh_is_an_error_of_the_key_and_no_other_key_is_used() {
    let world = world(private()).await;
    let ada = member(OrganisationId::new(), &[]);
    let credential = json!({"base_url": world.url("/v1"), "access_token": "at-old", "expires_in": 0,
        "refresh_token": "rt-planted", "token_url": world.url("/token")});
    let body = json!({"provider": "rig", "kind": "oauth_token", "credential": credential});
    world.create(&ada, KeyScope::Own, body).await;
    world
        .vendor
        .reply(Reply::json(400, &json!({"error": "invalid_grant", "error_description": "rt-planted"})));
    let error = world.ask(&ada, "rig:big").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderAuth);
    assert!(
        error.message.contains("token endpoint refuses") && !error.message.contains("planted"),
        "{error}"
    );
    assert_eq!(world.vendor.received().len(), 1, "nothing but the refresh was sent");
}

#[tokio::test]
async fn service_account_is_exchanged_for_an_access_token() {
    let world = world(private()).await;
    let ada = member(OrganisationId::new(), &[]);
    let file = json!({"type": "service_account", "client_email": "robot@example.iam.gserviceaccount.com",
        "private_key_id": "k1", "private_key": PRIVATE_KEY, "token_uri": world.url("/token")});
    let credential = json!({"base_url": world.url("/v1"), "service_account": file.to_string(), "scope": "s"});
    let body = json!({"provider": "vertex", "kind": "service_account", "credential": credential});
    world.create(&ada, KeyScope::Own, body).await;
    world.vendor.reply(Reply::json(200, &json!({"access_token": "at-robot", "expires_in": 3600})));
    assert_eq!(world.payer(&ada, "vertex:big").await, (Some(Payer::User), "Bearer at-robot".to_owned()));
    assert_eq!(world.payer(&ada, "vertex:big").await.1, "Bearer at-robot", "without another exchange");
    let exchange = &world.vendor.received()[0];
    let form = String::from_utf8_lossy(&exchange.raw).into_owned();
    assert!(
        form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant%2Dtype%3Ajwt%2Dbearer&assertion=")
    );
    let listed = world.gateway.provider_keys().list(&ada, KeyScope::Own).await;
    let listed = listed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(listed.provider_keys[0].hint, "robot@example.iam.gserviceaccount.com");
}

#[tokio::test]
async fn circuit_of_one_key_is_not_that_of_another() {
    let world = world(private()).await;
    let organisation = OrganisationId::new();
    let (ada, bob) = (member(organisation, &[]), member(organisation, &[]));
    world.create(&ada, KeyScope::Own, key("sk-user")).await;
    for _ in 0..40 {
        world.vendor.reply(Reply::json(401, &json!({"error": {"message": "bad key"}})));
    }
    for _ in 0..20 {
        world.ask(&ada, "rig:big").await.unwrap_err();
    }
    let providers = world.gateway.list_providers(&bob).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(providers.iter().all(|provider| provider.unavailable.is_empty()), "the operator's key works");
    assert_eq!(providers[0].payer, Some(Payer::Operator));
    let own = world.gateway.list_providers(&ada).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(own[0].payer, Some(Payer::User));
}

#[tokio::test]
async fn stored_keys_are_in_no_file_and_no_debug_output() {
    let world = world(private()).await;
    let ada = member(OrganisationId::new(), &[]);
    let id = world.create(&ada, KeyScope::Own, key("planted-key-0123456789")).await;
    assert_eq!(world.payer(&ada, "rig:big").await.1, "Bearer planted-key-0123456789");
    world.vendor.page("/v1/models", Reply::json(200, &json!({"data": [{"id": "big"}]})));
    let checked = world.gateway.provider_keys().verify(&ada, KeyScope::Own, id).await;
    checked.unwrap_or_else(|error| panic!("{error}"));
    let debug = format!("{:?} {:?}", world.gateway, world.store);
    assert!(!debug.contains("planted"), "the key is in the debug output");
    world.store.close().await;
    let mut folders = vec![world.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{error}")) {
            let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{error}"));
            assert!(!bytes.windows(7).any(|window| window == b"planted"), "{}", path.display());
        }
    }
}
