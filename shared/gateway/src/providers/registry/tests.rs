use super::*;
use crate::settings::Routing;

fn registry() -> ProviderRegistry {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new().into();
    let breakers = CircuitBreakers::default();
    let (store, interval) = (Store::unconnected(), Duration::from_secs(60));
    let configuration =
        Configuration::new(store.clone(), Routing::default(), interval, true, Background::new(true));
    ProviderRegistry::new(store, Arc::new(configuration), http, breakers, Background::new(true))
}

fn credentials(json: &str) -> Credentials {
    Credentials::parse(&Secret::new(json)).unwrap()
}

fn later(mut credentials: Credentials) -> Credentials {
    credentials.sequence += 1;
    credentials
}

#[test]
fn stored_key_configures_a_vendor_and_settings_win() {
    let configs =
        serde_json::from_str(r#"{"groq": {"api_key": "own", "models": ["m"]}, "xai": {}}"#).unwrap();
    let credentials = credentials(
        r#"{"openai": "sk-1", "groq": "other", "broken": "k",
            "rig": {"kind": "openai_compatible", "base_url": "http://rig:1/v1"}}"#,
    );
    let providers = registry().build(&configs, &credentials, &[]);
    let summary: Vec<_> = providers
        .iter()
        .map(|one| (one.name(), one.provider.endpoint().key.as_ref().map(Secret::expose), one.is_usable()))
        .collect();
    assert_eq!(
        summary,
        [
            ("groq", Some("own"), true),
            ("openai", Some("sk-1"), true),
            ("rig", None, true),
            ("xai", None, false)
        ]
    );
}

#[test]
fn earlier_credentials_do_not_replace_the_providers_of_later_ones() {
    let (registry, routing) = (registry(), Arc::new(RoutingSnapshot::new(Routing::default(), None, 0)));
    let key = |credentials: &Arc<Credentials>| {
        let providers = registry.build_for(&routing, credentials);
        providers[0].provider.endpoint().key.clone()
    };
    let old = Arc::new(credentials(r#"{"openai": "old"}"#));
    let new = Arc::new(later(credentials(r#"{"openai": "new"}"#)));
    assert_eq!(key(&old), Some(Secret::new("old")));
    assert_eq!(key(&new), Some(Secret::new("new")));
    let built = registry.build_for(&routing, &new);
    assert_eq!(key(&old), Some(Secret::new("new")));
    assert!(Arc::ptr_eq(&built, &registry.build_for(&routing, &old)), "they were built again");
}

#[tokio::test]
async fn providers_are_not_built_again_for_the_same_credentials() {
    let registry = Arc::new(registry());
    let routing = registry.routing().await;
    let first = registry.configured_by(&routing).await;
    let (before, after) = (registry.read().await, registry.read().await);
    assert!(Arc::ptr_eq(&before, &after));
    assert!(Arc::ptr_eq(&first, &registry.configured_by(&routing).await));
}

#[test]
fn provider_with_a_key_for_another_address_is_not_usable() {
    let configs = serde_json::from_str(
        r#"{"groq": {"base_url": "https://elsewhere.example"},
            "rig": {"kind": "openai_compatible", "base_url": "http://b"},
            "set": {"kind": "openai_compatible", "base_url": "http://b", "api_key": "own"}}"#,
    )
    .unwrap();
    let credentials = credentials(
        r#"{"groq": "k", "rig": {"kind": "openai_compatible", "base_url": "http://a", "api_key": "k"}, "set": "k"}"#,
    );
    let providers = registry().build(&configs, &credentials, &[]);
    let summary: Vec<_> = providers
        .iter()
        .map(|one| (one.name(), one.provider.endpoint().key.is_some(), one.is_usable()))
        .collect();
    assert_eq!(summary, [("groq", false, false), ("rig", false, false), ("set", true, true)]);
}
