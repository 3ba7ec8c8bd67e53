//! The stored keys of providers, and the addresses that each may be sent to.

use std::collections::BTreeMap;

use hearth_domain::Secret;
use hearth_providers::{Endpoint, ProviderSettings};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::settings::is_same_address;

/// The secret of a provider: its key, or settings with a key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum StoredCredential {
    Key(Secret),
    Settings(ProviderSettings),
}

/// The secrets of providers, by name, as they were read at one moment.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    by_name: BTreeMap<String, StoredCredential>,
    /// Number of the reads before in which they had changed.
    pub(super) sequence: u64,
}

/// The stored key of a provider, as far as its address may have it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StoredKey {
    Absent,
    Usable(Secret),
    /// It was stored for another address.
    Withheld,
}

impl Credentials {
    /// Parses the secret. None if it is not a JSON object of keys: a parser's message may show a part of its input.
    pub(super) fn parse(secret: &Secret) -> Option<Self> {
        Some(Self { by_name: serde_json::from_str(secret.expose()).ok()?, sequence: 0 })
    }

    /// True if both have the same secrets.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }

    /// The settings of all providers: those that are configured, and those that a secret configures alone.
    pub(super) fn complete(
        &self,
        configs: &BTreeMap<String, ProviderSettings>,
    ) -> BTreeMap<String, ProviderSettings> {
        let mut all = configs.clone();
        for (name, credential) in &self.by_name {
            all.entry(name.clone()).or_insert_with(|| match credential {
                StoredCredential::Key(_) => ProviderSettings::default(),
                StoredCredential::Settings(settings) => settings.clone(),
            });
        }
        all
    }

    /// The stored key of the provider `name`, if it may be sent to the address in `settings`: the one that it was stored
    /// with, or that of the process' own settings `own`. A key that was stored without an address belongs to the vendor's.
    pub(super) fn key_for(
        &self,
        name: &str,
        settings: &ProviderSettings,
        own: Option<&ProviderSettings>,
    ) -> StoredKey {
        let vendors = ProviderSettings::default();
        let (key, homes) = match self.by_name.get(name) {
            Some(StoredCredential::Key(key)) => (Some(key), [own.or(Some(&vendors)), None]),
            Some(StoredCredential::Settings(stored)) => (stored.api_key.as_ref(), [own, Some(stored)]),
            None => (None, [None, None]),
        };
        match key {
            None => StoredKey::Absent,
            Some(key) if homes.into_iter().flatten().any(|home| is_same_address(name, home, settings)) => {
                StoredKey::Usable(key.clone())
            }
            Some(_) => StoredKey::Withheld,
        }
    }
}

/// The settings in a provider's stored secret, if it has any.
pub(super) fn stored_settings(entry: Option<&Value>) -> Option<ProviderSettings> {
    serde_json::from_value(entry.filter(|entry| entry.is_object())?.clone()).ok()
}

/// A provider's secret with a new key for the address of `endpoint`. `has_own`: the process' own settings have the
/// provider. Without them, a key for the vendor's address is stored alone.
pub(super) fn with_key(before: Option<Value>, key: &Secret, endpoint: &Endpoint, has_own: bool) -> Value {
    let mut fields = match before {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let is_at_vendor = endpoint.vendor.kind == endpoint.name
        && endpoint.vendor.base_url.is_some_and(|url| url.trim_end_matches('/') == endpoint.base_url);
    if fields.is_empty() && is_at_vendor && !has_own {
        return json!(key.expose());
    }
    fields.insert("kind".to_owned(), json!(endpoint.vendor.kind));
    fields.insert("base_url".to_owned(), json!(endpoint.base_url));
    fields.insert("api_key".to_owned(), json!(key.expose()));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &Value) -> ProviderSettings {
        serde_json::from_value(json.clone()).unwrap()
    }

    fn rig(address: &str) -> Value {
        json!({"kind": "openai_compatible", "base_url": address})
    }

    #[test]
    fn key_goes_to_the_address_that_it_was_stored_with() {
        let groq = |address: &str| json!({"base_url": address});
        let bound = json!({"kind": "openai_compatible", "base_url": "http://a/v1", "api_key": "k"});
        let vendors = "https://api.groq.com/openai/v1";
        for (name, stored, wanted, own, is_usable) in [
            ("rig", bound.clone(), rig("http://a/v1/"), None, true),
            ("rig", bound.clone(), rig("http://b/v1"), None, false),
            ("rig", bound.clone(), json!({"kind": "openai", "base_url": "http://a/v1"}), None, false),
            ("rig", bound.clone(), rig("http://b/v1"), Some(rig("http://b/v1")), true),
            ("rig", bound, rig("http://c/v1"), Some(rig("http://b/v1")), false),
            // A key without an address.
            ("groq", json!("k"), json!({"models": ["m"]}), None, true),
            ("groq", json!("k"), groq(vendors), None, true),
            ("groq", json!("k"), groq("https://elsewhere.example"), None, false),
            ("groq", json!("k"), rig(vendors), None, false),
            ("groq", json!("k"), groq("http://a"), Some(groq("http://a")), true),
            ("groq", json!("k"), json!({}), Some(groq("http://a")), false),
            ("rig", json!("k"), rig("http://a/v1"), None, false),
            ("rig", json!("k"), rig("http://a/v1"), Some(rig("http://a/v1")), true),
        ] {
            let secret = Secret::new(json!({name: stored}).to_string());
            let credentials = Credentials::parse(&secret).unwrap();
            let own = own.as_ref().map(settings);
            let key = credentials.key_for(name, &settings(&wanted), own.as_ref());
            let expected = if is_usable { StoredKey::Usable(Secret::new("k")) } else { StoredKey::Withheld };
            assert_eq!(key, expected, "{name} {wanted} {own:?}");
        }
        assert_eq!(
            Credentials::default().key_for("groq", &ProviderSettings::default(), None),
            StoredKey::Absent
        );
    }

    #[test]
    fn key_is_stored_with_the_address_of_its_provider() {
        for (name, config, before, has_own) in [
            ("groq", json!({}), None, false),
            ("groq", json!({}), None, true),
            ("groq", json!({"base_url": "http://a"}), Some(json!("old")), false),
            ("rig", rig("http://a"), None, false),
            ("rig", rig("http://b"), Some(json!({"base_url": "http://a", "models": ["m"]})), false),
        ] {
            let config = settings(&config);
            let endpoint = Endpoint::new(name, &config, None).unwrap();
            let entry = with_key(before.clone(), &Secret::new("new"), &endpoint, has_own);
            assert_eq!(entry.is_string(), name == "groq" && before.is_none() && !has_own, "{entry}");
            assert_eq!(entry.get("models"), before.as_ref().and_then(|before| before.get("models")));
            let secret = Secret::new(json!({name: entry}).to_string());
            let key = Credentials::parse(&secret).unwrap().key_for(name, &config, None);
            assert_eq!(key, StoredKey::Usable(Secret::new("new")), "{name}");
        }
    }
}
