//! Requests to an identity provider.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use hearth_domain::Secret;
use hearth_wire::native::sign_in::SignInProvider;
use reqwest::redirect::Policy;
use serde::Deserialize;
use url::Url;

use crate::client::{
    base_url::is_loopback,
    error::{no_client, root_cause},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A client for an issuer, with the addresses of its discovery document.
pub(super) struct IssuerClient {
    http: reqwest::Client,
    issuer: String,
    endpoints: Endpoints,
}

impl fmt::Debug for IssuerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerClient({})", self.issuer)
    }
}

struct Endpoints {
    authorization: Url,
    token: Url,
    device: Option<Url>,
}

/// The discovery document of OpenID Connect.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

/// An answer of the token endpoint.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) id_token: Option<Secret>,
    /// OAuth's code of an error.
    pub(super) error: Option<String>,
    error_description: Option<String>,
}

impl TokenAnswer {
    /// The ID token.
    ///
    /// # Errors
    /// The provider's error, or none of both.
    pub(super) fn id_token(self) -> anyhow::Result<Secret> {
        if let Some(error) = &self.error {
            return Err(oauth_error(error, self.error_description.as_deref()));
        }
        self.id_token
            .context("the identity provider has answered without an ID token; is its scope openid allowed?")
    }
}

impl IssuerClient {
    /// Fetches the discovery document of a provider.
    pub(super) async fn discover(provider: &SignInProvider) -> anyhow::Result<Self> {
        let issuer = provider.issuer.as_str();
        let url: Url = issuer.parse().with_context(|| format!("the issuer {issuer:?} is no address"))?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("hearth-cli/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| no_client(&error))?;
        let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let unreachable =
            |error: reqwest::Error| anyhow::anyhow!("{document} can't be read: {}", root_cause(&error));
        let response = http.get(&document).send().await.and_then(reqwest::Response::error_for_status);
        let discovery: Discovery = response.map_err(unreachable)?.json().await.map_err(unreachable)?;
        anyhow::ensure!(
            discovery.issuer == issuer,
            "{document} is of another issuer than the gateway names: {:?}",
            discovery.issuer
        );
        let address = |text: &str| {
            let address = Url::parse(text);
            let is_private =
                |address: &Url| address.scheme() == "https" || (is_loopback(address) && is_loopback(&url));
            let address = address.ok().filter(is_private);
            address.with_context(|| format!("{document} has an address without TLS: {text:?}"))
        };
        let endpoints = Endpoints {
            authorization: address(&discovery.authorization_endpoint)?,
            token: address(&discovery.token_endpoint)?,
            device: discovery.device_authorization_endpoint.as_deref().map(address).transpose()?,
        };
        Ok(Self { http, issuer: issuer.to_owned(), endpoints })
    }

    /// The issuer.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The address of the page at which the user signs in, with these parameters.
    pub(super) fn authorization_url(&self, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.endpoints.authorization.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    /// Sends a form to the token endpoint. An error of OAuth is in the answer.
    pub(super) async fn token(&self, form: &[(&str, &str)]) -> anyhow::Result<TokenAnswer> {
        self.post(&self.endpoints.token, form).await
    }

    /// Sends a form to the device authorization endpoint.
    pub(super) async fn device<T: serde::de::DeserializeOwned>(
        &self,
        form: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let endpoint = self.endpoints.device.as_ref();
        let endpoint = endpoint.context(
            "the identity provider has no sign-in by a code of a device; sign in without --device, on a machine with a browser",
        )?;
        self.post(endpoint, form).await
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        url: &Url,
        form: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(form).finish();
        let request = self.http.post(url.clone()).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.header("accept", "application/json").send().await;
        let response = response
            .map_err(|error| anyhow::anyhow!("{} can't be reached: {}", self.issuer, root_cause(&error)))?;
        let status = response.status();
        let bytes = response.bytes().await.context("the identity provider's answer broke off")?;
        // The body isn't quoted: it may have a token.
        serde_json::from_slice(&bytes)
            .map_err(|_| anyhow::anyhow!("the identity provider's answer with status {status} can't be read"))
    }
}

/// The words of a provider for an error, without control characters.
pub(super) fn oauth_error(code: &str, description: Option<&str>) -> anyhow::Error {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    match description {
        Some(description) => {
            anyhow::anyhow!(
                "the identity provider refuses the sign-in: {} ({})",
                shown(description),
                shown(code)
            )
        }
        None => anyhow::anyhow!("the identity provider refuses the sign-in: {}", shown(code)),
    }
}
