//! The hub: searched for models, and read for their cards.

mod answer;
mod fit;
mod search;

use std::{sync::Arc, time::Duration};

use hearth_domain::Secret;
use hearth_settings::HubSettings;
use hearth_wire::{
    ApiError, ErrorCode,
    native::hub::{HubQuery, HubSearch, ModelCard},
};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{Gateway, access::Caller, keys::GatewayKeys, nodes::Nodes};
use answer::{RepositoryInfo, card_of, text_without_metadata};

/// Time for one answer of the hub.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// Bytes of an answer.
const ANSWER_MAX_BYTES: usize = 8 << 20;
/// Bytes of a card's text.
const CARD_MAX_BYTES: usize = 64 << 10;

/// The hub of the settings.
#[derive(Debug)]
pub(crate) struct Hub {
    http: reqwest::Client,
    settings: HubSettings,
    keys: Arc<GatewayKeys>,
    nodes: Arc<Nodes>,
}

impl Gateway {
    /// Searches the hub for models.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor; `provider_error` if the hub can't be reached.
    #[crate::boxed_future]
    pub async fn search_hub(&self, caller: &Caller, query: HubQuery) -> Result<HubSearch, ApiError> {
        self.0.hub.search(caller, query).await
    }

    /// Reads the card of a repository of the hub, for an entry of the registry. A failure need not concern the entry.
    ///
    /// # Errors
    /// `provider_error` if the hub can't be reached, `not_found` if it has no such repository.
    #[crate::boxed_future]
    pub async fn model_card(&self, caller: &Caller, repository: &str) -> Result<ModelCard, ApiError> {
        self.0.hub.card(repository, self.0.hub.token_for(caller)).await
    }
}

impl Hub {
    pub(crate) fn new(
        http: reqwest::Client,
        settings: HubSettings,
        keys: Arc<GatewayKeys>,
        nodes: Arc<Nodes>,
    ) -> Self {
        Self { http, settings, keys, nodes }
    }

    /// The token of the settings, for members of the operator's organisation alone: it reads the operator's private repositories.
    pub(crate) fn token_for(&self, caller: &Caller) -> Option<&Secret> {
        self.settings.token.as_ref().filter(|_| caller.is_operator)
    }

    /// The repository of the hub that a source names.
    pub(crate) fn repository_of(&self, source: &str) -> Option<String> {
        let own = self.settings.url.trim_end_matches('/');
        let prefixes = [own, "https://huggingface.co", "https://hf.co", "hf://", "hf:", "huggingface.co/"];
        let named = prefixes.iter().find_map(|prefix| source.strip_prefix(prefix));
        let is_elsewhere = source.contains("://") || source.starts_with(['/', '.', '~']);
        let path = named.or(Some(source).filter(|_| !is_elsewhere))?;
        let mut segments = path.trim_start_matches('/').split(['/', '?', '#']);
        let (owner, name) = (segments.next()?, segments.next()?);
        let name = name.split(':').next().unwrap_or(name);
        let is_part = |part: &str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.len() <= 96 && part.chars().all(is_allowed) && !part.starts_with('.')
        };
        (is_part(owner) && is_part(name)).then(|| format!("{owner}/{name}"))
    }

    /// Reads the card of a repository: its metadata, its text, and its recommended parameters, as far as it has them.
    ///
    /// # Errors
    /// `provider_error`, `provider_auth`, or `not_found`.
    pub(crate) async fn card(&self, repository: &str, token: Option<&Secret>) -> Result<ModelCard, ApiError> {
        let path = format!("api/models/{repository}");
        let info: RepositoryInfo = self.get_json(&path, &[("blobs", "true")], token).await?;
        let readme_path = format!("{repository}/raw/main/README.md");
        let readme = self.get(&readme_path, &[], token);
        let config_path = format!("{repository}/raw/main/generation_config.json");
        let config = self.get(&config_path, &[], token);
        let (readme, config) =
            tokio::join!(async { body_of(readme.await?, ANSWER_MAX_BYTES).await }, async {
                body_of(config.await?, CARD_MAX_BYTES).await
            },);
        let text = readme.ok().map(|bytes| text_without_metadata(&bytes, CARD_MAX_BYTES));
        Ok(card_of(repository, info, text, config.ok().as_deref()))
    }

    async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        token: Option<&Secret>,
    ) -> Result<T, ApiError> {
        let response = self.get(path, query, token).await?;
        read_json(response).await
    }

    /// Sends a request, and returns a successful response.
    async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        token: Option<&Secret>,
    ) -> Result<Response, ApiError> {
        let mut url = Url::parse(&self.settings.url).map_err(|_| failed("`hub.url` is no address"))?;
        url.path_segments_mut()
            .map_err(|()| failed("`hub.url` can't have a path"))?
            .pop_if_empty()
            .extend(path.split('/'));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.get(url).timeout(ANSWER_TIMEOUT);
        if let Some(token) = token.filter(|token| !token.expose().is_empty()) {
            request = request.bearer_auth(token.expose());
        }
        let response = request.send().await.map_err(unreachable)?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(ApiError::new(ErrorCode::NotFound, "the hub has no such model")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ApiError::new(
                ErrorCode::ProviderAuth,
                "the hub requires a token: set `hub.token`, and accept the model's terms on its page if it has any",
            )),
            status => Err(failed(&format!("the hub answered {status}"))),
        }
    }
}

async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, ApiError> {
    let bytes = body_of(response, ANSWER_MAX_BYTES).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| failed(&format!("the hub's answer can't be read: {error}")))
}

async fn body_of(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > max_bytes {
            return Err(failed("the hub's answer is too large"));
        }
    }
    Ok(bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreachable(error: reqwest::Error) -> ApiError {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    failed(&format!("the hub can't be reached: {cause}"))
}

fn failed(message: &str) -> ApiError {
    ApiError::new(ErrorCode::ProviderError, message)
}
