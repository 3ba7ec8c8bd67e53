//! Signs in at an identity provider: in the browser, by OpenID Connect's authorization code flow with PKCE, or with a code that
//! is entered on another device, by OAuth's device flow (RFC 8628).
//!
//! The gateway names the provider and takes its ID token for a login; it alone verifies the token. The flows are a few requests,
//! written over the HTTP client that the commands have: the crate `openidconnect` would bring RSA and the NIST curves of
//! RustCrypto, and verify here what the gateway verifies anyway.

mod browser;
mod code_flow;
mod device_flow;
mod issuer;
mod loopback;

use hearth_domain::Secret;
use hearth_wire::native::{
    logins::LoginBody,
    sign_in::{SignInOptions, SignInProvider},
};
use serde_json::json;

use crate::client::{gateway_client::GatewayClient, interrupt::or_interrupted};
use issuer::IssuerClient;

/// Options of a sign-in at an identity provider.
#[derive(Debug, Default, Clone, clap::Args)]
#[command(next_help_heading = "Sign-in at an identity provider")]
pub(crate) struct ExternalSignIn {
    /// The identity provider, if the gateway has several
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Enter a code on another device, where this one has no browser
    #[arg(long)]
    pub(crate) device: bool,
    /// Print the address instead of opening it in the browser
    #[arg(long, conflicts_with = "device")]
    pub(crate) no_browser: bool,
}

/// The ID token of a sign-in, with the nonce that it must have.
struct SignedIn {
    id_token: Secret,
    nonce: Option<String>,
}

impl ExternalSignIn {
    /// Returns whether a flag asks for an identity provider.
    pub(crate) fn is_requested(&self) -> bool {
        self.provider.is_some() || self.device || self.no_browser
    }
}

/// Asks the gateway by which identity providers users sign in.
///
/// # Errors
/// If the gateway can't be reached.
pub(crate) async fn providers(gateway: &GatewayClient) -> anyhow::Result<Vec<SignInProvider>> {
    let options: SignInOptions = gateway.get(&["v1", "sign-in"], &[]).await?;
    Ok(options.providers)
}

/// Signs in at one of the providers, and opens a login at the gateway.
///
/// # Errors
/// If there is no such provider, the user doesn't sign in, or the gateway refuses them.
pub(crate) async fn sign_in(
    gateway: &GatewayClient,
    providers: &[SignInProvider],
    options: &ExternalSignIn,
) -> anyhow::Result<LoginBody> {
    let provider = choose(providers, options.provider.as_deref())?;
    let signed_in = or_interrupted(async {
        let issuer = IssuerClient::discover(provider).await?;
        if options.device {
            device_flow::sign_in(&issuer, provider).await
        } else {
            code_flow::sign_in(&issuer, provider, !options.no_browser).await
        }
    });
    let SignedIn { id_token, nonce } = signed_in.await?;
    let body = json!({"provider": provider.name, "id_token": id_token.expose(), "nonce": nonce});
    gateway.post(&["v1", "users", "login", "token"], &body).await
}

fn choose<'a>(providers: &'a [SignInProvider], name: Option<&str>) -> anyhow::Result<&'a SignInProvider> {
    let names = || providers.iter().map(|provider| provider.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, providers) {
        (_, []) => anyhow::bail!("the gateway has no identity provider; sign in with --email"),
        (None, [provider]) => Ok(provider),
        (None, _) => {
            anyhow::bail!("name the identity provider with --provider; the gateway has: {}", names())
        }
        (Some(name), _) => providers.iter().find(|provider| provider.name == name).ok_or_else(|| {
            anyhow::anyhow!("the gateway has no identity provider {name:?}; it has: {}", names())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str) -> SignInProvider {
        SignInProvider {
            name: name.to_owned(),
            issuer: "https://issuer.example".to_owned(),
            client_id: "hearth-cli".to_owned(),
            client_secret: None,
            redirect_uri: "http://127.0.0.1/callback".to_owned(),
            scopes: vec!["openid".to_owned()],
        }
    }

    #[test]
    fn provider_is_the_only_one_or_the_named_one() {
        let (one, two) = ([provider("a")], [provider("a"), provider("b")]);
        assert_eq!(choose(&one, None).unwrap().name, "a");
        assert_eq!(choose(&two, Some("b")).unwrap().name, "b");
        for (providers, name, word) in [
            (&[][..], None, "--email"),
            (&two[..], None, "--provider"),
            (&two[..], Some("c"), "it has: a, b"),
        ] {
            let error = choose(providers, name).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
