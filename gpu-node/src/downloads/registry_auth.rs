//! The credentials of a registry of the OCI: a token of its token service, which the answer 401 names.
//!
//! See the [specification](https://distribution.github.io/distribution/spec/auth/token/) of the Docker registry. A token is for one
//! repository and some minutes, so a long download asks for several.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{JobErrorCode, Secret};
use reqwest::{
    Client, RequestBuilder, Url,
    header::{HeaderMap, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{
    clients::Clients,
    error::{DownloadError, root_cause},
    hub::status_error,
};

/// Time for which a token is valid, unless the service says otherwise.
const TOKEN_TTL: Duration = Duration::from_secs(60);
/// Time before its end at which a token is replaced.
const TOKEN_GRACE: Duration = Duration::from_secs(10);
/// Bytes of the token service's answer.
const ANSWER_MAX_BYTES: usize = 64 << 10;

/// The credentials for one repository of a registry.
#[derive(Debug)]
pub(super) struct RegistryAuth {
    pub(super) http: Client,
    /// The registry has TLS, or the settings allow it to have none: then so may the token service.
    allows_plain: bool,
    /// Checks addresses that a caller's registry names; none for the registry of the settings.
    clients: Option<Clients>,
    /// The user's token.
    user_token: Option<Secret>,
    /// The token service, once the registry has named it.
    challenge: Mutex<Option<Challenge>>,
    token: Mutex<Option<(Secret, Instant)>>,
}

/// The token service, as the registry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Challenge {
    realm: Url,
    parameters: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<Secret>,
    access_token: Option<Secret>,
    expires_in: Option<u64>,
}

impl RegistryAuth {
    pub(super) fn new(
        http: Client,
        base: &Url,
        clients: Option<Clients>,
        user_token: Option<Secret>,
    ) -> Self {
        let allows_plain = base.scheme() == "http";
        let (challenge, token) = (Mutex::default(), Mutex::default());
        Self { http, allows_plain, clients, user_token, challenge, token }
    }

    /// Adds the credentials to a request: a token of the token service, else the user's own.
    pub(super) async fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, DownloadError> {
        let challenge = self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(challenge) = challenge else {
            return Ok(match &self.user_token {
                Some(token) => request.bearer_auth(token.expose()),
                None => request,
            });
        };
        let current = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, ends_at)) = current
            && Instant::now() < ends_at
        {
            return Ok(request.bearer_auth(token.expose()));
        }
        let (token, ttl) = self.fetch_token(&challenge).await?;
        let ends_at = Instant::now() + ttl.saturating_sub(TOKEN_GRACE);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), ends_at));
        Ok(request.bearer_auth(token.expose()))
    }

    /// Reads the token service from an answer 401. Returns true if the request may be sent again, with a token of it.
    ///
    /// # Errors
    /// The address of the service isn't allowed.
    pub(super) fn accept_challenge(&self, headers: &HeaderMap) -> Result<bool, DownloadError> {
        let texts = headers.get_all(WWW_AUTHENTICATE).into_iter().filter_map(|text| text.to_str().ok());
        let Some(challenge) = texts.filter_map(parse_challenge).next() else { return Ok(false) };
        if let Some(clients) = &self.clients {
            clients.check(&challenge.realm)?;
        }
        if challenge.realm.scheme() != "https" && !self.allows_plain {
            return Err(DownloadError::invalid_source("the registry's token service has no TLS"));
        }
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(true)
    }

    async fn fetch_token(&self, challenge: &Challenge) -> Result<(Secret, Duration), DownloadError> {
        let host = challenge.realm.host_str().unwrap_or("the token service");
        let unreachable = |error: &reqwest::Error| {
            DownloadError::unreachable(format!("{host} can't be reached: {}", root_cause(error)))
        };
        let mut realm = challenge.realm.clone();
        realm.query_pairs_mut().extend_pairs(&challenge.parameters);
        let mut request = self.http.get(realm);
        if let Some(token) = &self.user_token {
            // Services that take a token take it as the password of any user.
            request = request.basic_auth("token", Some(token.expose()));
        }
        let mut response = request.send().await.map_err(|error| unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.describe(status_error(host, "token for the model", response.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_MAX_BYTES {
                return Err(DownloadError::invalid_source("the token service's answer is too large"));
            }
        }
        let unreadable = || DownloadError::invalid_source("the token service's answer can't be read");
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        let token = answer.token.or(answer.access_token).ok_or_else(unreadable)?;
        Ok((token, answer.expires_in.map_or(TOKEN_TTL, Duration::from_secs)))
    }

    /// The error of a registry that refuses access, with the advice for a registry.
    pub(super) fn describe(&self, error: DownloadError) -> DownloadError {
        if error.code != JobErrorCode::AccessDenied {
            return error;
        }
        let message = match self.user_token {
            Some(_) => {
                "the registry refuses the model, or has none of this name; the token of the request may not read it"
            }
            None => {
                "the registry refuses the model, or has none of this name; if it is private, send `token`, a token of the \
                 registry that may read packages"
            }
        };
        DownloadError::new(JobErrorCode::AccessDenied, message)
    }
}

/// Parses `Bearer realm="https://...",service="...",scope="..."`.
fn parse_challenge(text: &str) -> Option<Challenge> {
    let (scheme, mut rest) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut parameters) = (None, Vec::new());
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([',', ' ']).trim().to_ascii_lowercase();
        // A comma may be in a quoted text.
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        match name.as_str() {
            "realm" => realm = Some(Url::parse(value).ok()?),
            "service" | "scope" => parameters.push((name, value.to_owned())),
            _ => {}
        }
        rest = after;
    }
    Some(Challenge { realm: realm?, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_has_the_token_service_and_its_parameters() {
        let text =
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull,push""#;
        let challenge = parse_challenge(text).unwrap();
        assert_eq!(challenge.realm.as_str(), "https://ghcr.io/token");
        let parameters = [("service", "ghcr.io"), ("scope", "repository:a/b:pull,push")];
        assert_eq!(challenge.parameters, parameters.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for other in [r#"Basic realm="x""#, "Bearer", r#"Bearer service="x""#, r#"Bearer realm="no address""#]
        {
            assert_eq!(parse_challenge(other), None, "{other}");
        }
    }
}
