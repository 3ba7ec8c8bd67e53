//! Users' own keys can't harm others: addresses of this machine, shared answers, labels of metrics, and keys of members
//! who have left.

use hearth_domain::{
    CacheControl, CredentialOwner, Delivery, Generation, MemberRole, Message, ModelId, OrganisationId, Payer,
    Role, RunId, Sampling, TextTask, UserId,
};
use hearth_gateway::{Caller, Gateway, accounts::provider_keys::KeyScope};
use hearth_settings::{CacheSettings, GatewaySettings, KeySettings};
use hearth_store::organisations::{MemberRecord, OrganisationRecord};
use hearth_tests::{Home, Setup, Upstream, within};
use hearth_wire::RunEventBody;
use serde_json::json;

use crate::{
    answer, chat, failure,
    own_keys::{gateway, gateway_with, key, member, private, world},
};

#[tokio::test]
async fn vendors_address_on_this_machine_is_not_a_users() {
    let world = world(KeySettings::default()).await;
    let ada = member(OrganisationId::new(), &[]);
    let address = "http://127.0.0.1:11434/v1";
    for body in [
        json!({"provider": "ollama", "kind": "endpoint_key", "credential": {"base_url": address}}),
        json!({"provider": "mine", "kind": "endpoint_key", "credential": {"vendor": "ollama", "base_url": address}}),
        json!({"provider": "ollama", "credential": {"key": "k"}}),
    ] {
        let error = world.try_create(&ada, KeyScope::Own, body.clone()).await.unwrap_err();
        assert_eq!(error.param.as_deref(), Some("credential.base_url"), "{body}: {error}");
    }
    // One that was stored while the operator allowed it.
    let allowed = gateway(&world.store, &world.vendor, private());
    let body = json!({"provider": "ollama", "kind": "endpoint_key", "credential": {"base_url": address}});
    let body = serde_json::from_value(body).unwrap_or_else(|error| panic!("{error}"));
    let stored = allowed.provider_keys().create(&ada, KeyScope::Own, body).await;
    let id = stored.unwrap_or_else(|error| panic!("{error}")).id;
    let id = id.parse().unwrap_or_else(|error| panic!("{error}"));
    let checked = world.gateway.provider_keys().verify(&ada, KeyScope::Own, id).await;
    let checked = checked.unwrap_or_else(|error| panic!("{error}"));
    assert!(checked.valid == Some(false) && checked.result.contains("public internet"), "{checked:?}");
}

/// The payer of the answer to a request that is the same each time; none of a cached answer.
async fn payer_of_shared(gateway: &Gateway, caller: &Caller) -> Option<Payer> {
    let task = TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default());
    let generation = Generation::new(Some(ModelId::new("rig:big")), task);
    let generation = Generation { cache: CacheControl::Use, ..generation };
    let run = gateway.generate(caller, RunId::new(), generation, Delivery::Stream);
    let run = within("the run's beginning", Box::pin(run)).await;
    let mut run = run.unwrap_or_else(|error| panic!("{error}"));
    let mut payer = None;
    while let Some(event) = within("an event", run.next()).await {
        match event.body {
            RunEventBody::Selected(selection) => payer = selection.payer,
            RunEventBody::Error { error } => panic!("{error}"),
            _ => {}
        }
    }
    payer
}

#[tokio::test]
async fn answer_of_a_members_own_server_is_in_no_shared_cache() {
    let world = world(private()).await;
    let cache = CacheSettings { enabled: true, shared: true, ..CacheSettings::default() };
    let settings = GatewaySettings { keys: private(), cache, ..GatewaySettings::default() };
    let gateway = gateway_with(&world.store, &world.vendor, settings);
    let organisation = OrganisationId::new();
    let (ada, bob, eve) = (member(organisation, &[]), member(organisation, &[]), member(organisation, &[]));
    let own_server = Upstream::start().await;
    let credential = json!({"base_url": format!("{}/v1", own_server.url), "key": "k"});
    let body = json!({"provider": "rig", "kind": "endpoint_key", "credential": credential});
    world.create(&ada, KeyScope::Own, body).await;
    own_server.reply(answer());
    assert_eq!(payer_of_shared(&gateway, &ada).await, Some(Payer::User));
    assert_eq!(payer_of_shared(&gateway, &ada).await, None, "her own is cached");
    assert_eq!(own_server.received().len(), 1);
    // The others share theirs, and don't get Ada's.
    world.vendor.reply(answer());
    assert_eq!(payer_of_shared(&gateway, &bob).await, Some(Payer::Operator));
    assert_eq!(payer_of_shared(&gateway, &eve).await, None);
    assert_eq!((own_server.received().len(), world.vendor.received().len()), (1, 1));
}

/// A home whose users may name any address.
async fn home(upstream: &Upstream) -> Home {
    let settings = format!(
        "[keys]\nprivate_addresses = true\n[providers.rig0]\nkind = 'openai_compatible'\n\
         base_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    Setup::new().settings(&settings).start().await
}

#[tokio::test]
async fn providers_that_users_name_share_a_label_of_metrics() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    for name in ["planted-one", "planted-two"] {
        let credential = json!({"base_url": format!("{}/v1", upstream.url), "key": "k"});
        let body = json!({"provider": name, "kind": "endpoint_key", "credential": credential});
        assert_eq!(client.post("/v1/users/provider-keys", &body).await.status, 201);
        upstream.reply(answer());
        let model = format!("{name}:big");
        assert_eq!(client.post("/v1/chat/completions", &chat(&model)).await.status, 200);
        upstream.reply(failure(400, "bad"));
        assert_ne!(client.post("/v1/chat/completions", &chat(&model)).await.status, 200);
    }
    upstream.reply(answer());
    assert_eq!(client.post("/v1/chat/completions", &chat("rig0:big")).await.status, 200);
    let metrics = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body);
    assert!(!text.contains("planted"), "{text}");
    for label in ["own", "rig0"] {
        let line = format!("hearth_provider_requests_total{{provider=\"{label}\",result=\"ok\"}}");
        assert!(text.contains(&line), "{text}");
    }
    home.stop().await;
}

#[tokio::test]
async fn own_keys_end_with_the_membership() {
    let world = world(private()).await;
    let organisations = world.store.organisations();
    let record = OrganisationRecord::new(OrganisationId::new(), "lab");
    let owner = member(record.id, &[]);
    let membership = MemberRecord::new(record.id, owner.user, MemberRole::Owner);
    organisations.create(&record, &membership).await.unwrap_or_else(|error| panic!("{error}"));
    let ada = member(record.id, &[]);
    let membership = MemberRecord::new(record.id, ada.user, MemberRole::Developer);
    organisations.add_member(&record, &membership).await.unwrap_or_else(|error| panic!("{error}"));
    let elsewhere = Caller { organisation: OrganisationId::new(), ..ada.clone() };
    for caller in [&ada, &elsewhere, &owner] {
        world.create(caller, KeyScope::Own, key("sk-user")).await;
    }
    let kept = async |user: UserId| -> Vec<OrganisationId> {
        let records = world.store.provider_credentials().of(CredentialOwner::User(user)).await;
        let records = records.unwrap_or_else(|error| panic!("{error}"));
        records.into_iter().map(|record| record.organisation).collect()
    };
    let removed = world.gateway.organisations().remove_member(&owner, record.id, ada.user).await;
    removed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(kept(ada.user).await, [elsewhere.organisation]);
    assert_eq!(kept(owner.user).await, [record.id]);
    let deleted = world.gateway.organisations().delete(&owner, record.id).await;
    deleted.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(kept(owner.user).await, []);
}

#[tokio::test]
async fn requests_for_the_signing_keys_read_them_once_in_a_while() {
    let world = world(private()).await;
    let other = gateway(&world.store, &world.vendor, private());
    let count = async |gateway: &Gateway| {
        let keys = gateway.signing_keys().jwks().await;
        keys.unwrap_or_else(|error| panic!("{error}")).keys.len()
    };
    assert_eq!((count(&world.gateway).await, count(&other).await), (0, 0));
    other.rotate_signing_key(false).await.unwrap_or_else(|error| panic!("{error}"));
    // The process of the change reads at once, another one not within seconds.
    assert_eq!((count(&other).await, count(&world.gateway).await), (1, 0));
}
