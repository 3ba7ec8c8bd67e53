//! Settings of identity providers: issuers of OpenID Connect, by which users sign in, and whose tokens are accepted.

use std::collections::BTreeMap;

use hearth_domain::{MemberRole, OrganisationId, TeamId};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::InvalidSetting;

/// Characters of a claim's name, of a value, and of a scope.
const TEXT_MAX_CHARS: usize = 1000;
/// Path of the redirect URI where none is set.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// A table `identity_providers.NAME` of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityProviderSettings {
    /// The issuer's identifier, an address with `https://`. Its discovery document is below it.
    pub issuer: String,
    /// The id under which Hearth is registered at the issuer, as a public client with PKCE; absent: nobody signs in by this
    /// provider, and its tokens are accepted alone.
    pub client_id: Option<String>,
    /// The `client_secret` that some issuers give to a public client too, as Google. It is shown to everybody who signs in.
    pub public_client_secret: Option<String>,
    /// The redirect URI that is registered for `hearth login`, a loopback address. Without a port, any free one is used.
    pub redirect_uri: String,
    /// The OAuth scopes to request at a sign-in.
    pub scopes: Vec<String>,
    /// Audiences of the issuer's tokens that are accepted in place of an API token; empty: none is accepted.
    pub audiences: Vec<String>,
    /// The organisation of users whose claims name none; absent: the operator's.
    pub organisation: Option<OrganisationId>,
    /// A claim with the id of the organisation.
    pub organisation_claim: Option<String>,
    /// The role of users whose claims name none; absent: they are refused.
    pub role: Option<MemberRole>,
    /// Organisation, role and teams by the values of claims. The first rule with a role that applies decides the role, and
    /// likewise the organisation; the teams of all rules that apply are added up.
    pub rules: Vec<ClaimRule>,
    /// Domains of addresses that are accepted; empty: all. The issuer must have verified the address.
    pub domains: Vec<String>,
    /// Create a user at the first sight of a token; false: those who are there already are accepted alone.
    pub provision: bool,
    /// Accept an issuer at `http://` on this machine, for development.
    pub allow_http: bool,
}

/// A rule of an identity provider: a value of a claim, and the membership of users who have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRule {
    /// The claim's name; dots lead into an object, as in `realm_access.roles`.
    pub claim: String,
    /// The claim's text, or an entry of its list.
    pub value: String,
    /// The organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationId>,
    /// The role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MemberRole>,
    /// Teams of the organisation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamId>,
}

impl Default for IdentityProviderSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: None,
            public_client_secret: None,
            redirect_uri: REDIRECT_URI.to_owned(),
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            audiences: Vec::new(),
            organisation: None,
            organisation_claim: None,
            role: None,
            rules: Vec::new(),
            domains: Vec::new(),
            provision: true,
            allow_http: false,
        }
    }
}

/// Checks the identity providers.
pub(crate) fn validate(providers: &BTreeMap<String, IdentityProviderSettings>) -> Result<(), InvalidSetting> {
    let mut issuers = BTreeMap::new();
    for (name, provider) in providers {
        validate_name(name)?;
        provider
            .validate()
            .map_err(|problem| InvalidSetting::new(format!("identity_providers.{name}.{problem}")))?;
        if let Some(other) = issuers.insert(&provider.issuer, name) {
            return Err(InvalidSetting::new(format!(
                "identity_providers.{name}.issuer: {other} has the same issuer; give one provider all audiences and rules"
            )));
        }
    }
    Ok(())
}

/// The name is shown to users, and is the method of their logins, of which `password` is another.
fn validate_name(name: &str) -> Result<(), InvalidSetting> {
    let is_valid = (1..=50).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
        && name != "password";
    if is_valid {
        return Ok(());
    }
    Err(InvalidSetting::new(format!(
        "identity_providers.{name}: a name has 1 to 50 lower-case letters, digits, - and _, and isn't \"password\""
    )))
}

impl IdentityProviderSettings {
    fn validate(&self) -> Result<(), String> {
        self.validate_issuer()?;
        self.validate_redirect_uri()?;
        let texts = [("client_id", &self.client_id), ("organisation_claim", &self.organisation_claim)];
        for (name, text) in texts {
            if text.as_deref().is_some_and(|text| !is_text(text)) {
                return Err(format!("{name}: it is empty, or longer than {TEXT_MAX_CHARS} characters"));
            }
        }
        for (name, list) in
            [("scopes", &self.scopes), ("audiences", &self.audiences), ("domains", &self.domains)]
        {
            if list.iter().any(|text| !is_text(text)) {
                return Err(format!("{name}: an entry is empty, or longer than {TEXT_MAX_CHARS} characters"));
            }
        }
        if self.client_id.is_some() && !self.scopes.iter().any(|scope| scope == "openid") {
            return Err("scopes: a sign-in needs the scope openid".to_owned());
        }
        if self.client_id.is_none() && self.audiences.is_empty() {
            return Err(
                "client_id: set it for a sign-in, or audiences for the issuer's tokens, or both".to_owned()
            );
        }
        if self.role == Some(MemberRole::Owner) {
            return Err(format!("role: {NO_OWNER}"));
        }
        self.rules
            .iter()
            .enumerate()
            .try_for_each(|(at, rule)| rule.validate().map_err(|problem| format!("rules[{at}].{problem}")))?;
        if self.role.is_none() && self.rules.iter().all(|rule| rule.role.is_none()) {
            return Err(
                "role: set it, or a rule with a role: without a role every user is refused".to_owned()
            );
        }
        Ok(())
    }

    /// The issuer is compared as text, so it has no form but the one in the issuer's tokens.
    fn validate_issuer(&self) -> Result<(), String> {
        let url = Url::parse(&self.issuer)
            .map_err(|_| "issuer: write an address such as https://login.example.com".to_owned())?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || !url.has_host()
        {
            return Err("issuer: an issuer has no query, no fragment and no user".to_owned());
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_loopback(&url) && self.allow_http => Ok(()),
            "http" if is_loopback(&url) => {
                Err("issuer: an issuer without TLS is for development; set allow_http for it".to_owned())
            }
            _ => Err("issuer: an issuer begins with https://".to_owned()),
        }
    }

    fn validate_redirect_uri(&self) -> Result<(), String> {
        let is_valid = Url::parse(&self.redirect_uri).is_ok_and(|url| {
            url.scheme() == "http" && is_loopback(&url) && url.query().is_none() && url.fragment().is_none()
        });
        if is_valid {
            return Ok(());
        }
        Err(format!(
            "redirect_uri: write an address of this machine, such as {REDIRECT_URI} or http://localhost:8976"
        ))
    }
}

const NO_OWNER: &str = "an identity provider makes no owner; name owners in Hearth";

impl ClaimRule {
    fn validate(&self) -> Result<(), String> {
        if !is_text(&self.claim) || !is_text(&self.value) {
            return Err(format!("claim: name and value have 1 to {TEXT_MAX_CHARS} characters"));
        }
        if self.role == Some(MemberRole::Owner) {
            return Err(format!("role: {NO_OWNER}"));
        }
        if self.role.is_none() && self.organisation.is_none() && self.teams.is_empty() {
            return Err("role: a rule gives an organisation, a role or teams".to_owned());
        }
        Ok(())
    }
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= TEXT_MAX_CHARS
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Settings;

    fn read(provider: &Value) -> Result<Settings, String> {
        let json = json!({"identity_providers": {"okta": provider}});
        let settings: Settings = serde_json::from_value(json).map_err(|error| error.to_string())?;
        settings.validate().map(|()| settings).map_err(|error| error.to_string())
    }

    #[test]
    fn provider_with_issuer_client_and_role_is_valid() {
        let settings = read(&json!({
            "issuer": "https://example.okta.com", "client_id": "0oa1", "role": "developer",
            "rules": [{"claim": "groups", "value": "admins", "role": "admin"}],
        }));
        let settings = settings.unwrap();
        let provider = &settings.identity_providers["okta"];
        assert_eq!(provider.redirect_uri, "http://127.0.0.1/callback");
        assert!(provider.provision && provider.audiences.is_empty() && provider.scopes.len() == 3);
    }

    #[test]
    fn invalid_provider_names_the_setting() {
        let valid = json!({"issuer": "https://i.example", "client_id": "c", "role": "viewer"});
        for (change, word) in [
            (json!({"issuer": "http://i.example"}), "okta.issuer: an issuer begins with https://"),
            (json!({"issuer": "http://127.0.0.1:1"}), "okta.issuer: an issuer without TLS"),
            (json!({"issuer": "https://i.example?a=b"}), "okta.issuer: an issuer has no query"),
            (json!({"issuer": ""}), "okta.issuer: write an address"),
            (json!({"client_id": null}), "okta.client_id: set it"),
            (json!({"client_id": ""}), "okta.client_id: it is empty"),
            (json!({"role": null}), "okta.role: set it"),
            (json!({"role": "owner"}), "okta.role: an identity provider makes no owner"),
            (json!({"scopes": ["email"]}), "okta.scopes"),
            (json!({"redirect_uri": "https://elsewhere.example"}), "okta.redirect_uri"),
            (json!({"rules": [{"claim": "g", "value": "v"}]}), "okta.rules[0].role"),
            (
                json!({"rules": [{"claim": "g", "value": "v", "role": "owner"}]}),
                "okta.rules[0].role: an identity",
            ),
            (json!({"rules": [{"claim": "", "value": "v", "role": "admin"}]}), "okta.rules[0].claim"),
            (json!({"isuer": "x"}), "isuer"),
        ] {
            let mut provider = valid.clone();
            provider.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let error = read(&provider).unwrap_err();
            assert!(error.contains(word), "{change} gave {error:?}");
        }
        for name in ["password", "", "Okta", "a b"] {
            let settings: Settings =
                serde_json::from_value(json!({"identity_providers": {name: valid}})).unwrap();
            assert!(settings.validate().unwrap_err().to_string().contains("a name has"), "{name}");
        }
        let same = json!({"identity_providers": {"a": valid, "b": valid}});
        let settings: Settings = serde_json::from_value(same).unwrap();
        assert!(settings.validate().unwrap_err().to_string().contains("identity_providers.b.issuer: a has"));
    }
}
