//! The gateway's routes, with and without the token.

use std::time::Duration;

use hearth_domain::Secret;
use hearth_providers::config::LOCAL;
use hearth_wire::{
    error::ErrorEnvelope,
    native::models::{ALIAS, ModelList},
};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::{super::finding::Finding, reach};
use crate::client::{error::GatewayError, gateway_client::GatewayClient};

/// Timeout for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// A token that no gateway has issued.
const WRONG_TOKEN: &str = "hth_0000000000000000000000000000000000000000000";

/// Checks that the models aren't listed without a token, nor with a wrong one.
pub(super) async fn without_token(gateway: &GatewayClient) -> Finding {
    for (token, description) in
        [(None, "without a token"), (Some(Secret::new(WRONG_TOKEN)), "with a wrong token")]
    {
        let response = match get(&gateway.with_token(token), &["v1", "models"]).await {
            Ok(response) => response,
            Err(error) => return Finding::problem("auth", format!("{error:#}"), "try again"),
        };
        let status = response.status();
        if status.is_success() {
            let advice = "take it off the network; does something before it add a token?";
            return Finding::problem("auth", format!("a request {description} is served"), advice);
        }
        let is_ours = response.json::<ErrorEnvelope>().await.is_ok();
        if status != StatusCode::UNAUTHORIZED || !is_ours {
            let message = format!("a request {description} is answered {status}, and not 401 by Hearth");
            return Finding::problem(
                "auth",
                message,
                "check what stands between: a proxy, an authorizer, a web ACL",
            );
        }
    }
    Finding::ok("auth", "requests without a token and with a wrong one are refused")
}

/// Checks that the token is accepted, and which models it shows.
pub(super) async fn with_token(gateway: &GatewayClient) -> (Finding, Option<Finding>) {
    let list = match models(gateway).await {
        Ok(list) => list,
        Err(error) => {
            let finding = match code(&error) {
                Some("forbidden") => Finding::warning(
                    "token",
                    "the token is accepted, and may not list models",
                    "create one with the scope models:read",
                ),
                Some("unauthorized") => Finding::problem(
                    "token",
                    "the token is refused",
                    "create another: `hearth token create NAME`, for a stack with --table and its output TableName",
                ),
                _ => Finding::problem(
                    "token",
                    format!("{error:#}"),
                    "the page of the error's code says what to do",
                ),
            };
            return (finding, None);
        }
    };
    let token = Finding::ok("token", "the token is accepted");
    let aliases = list.models.iter().filter(|model| model.provider == ALIAS).count();
    let local = list.models.iter().filter(|model| model.provider == LOCAL).count();
    let other = list.models.len() - local - aliases;
    let more = if list.next_cursor.is_some() { ", and more" } else { "" };
    let models = if list.models.is_empty() {
        let advice = "set a provider's key (`hearth key set openai`), or connect a node";
        Finding::warning("models", "no model is listed", advice)
    } else {
        Finding::ok("models", format!("{local} of nodes, {other} of providers, {aliases} aliases{more}"))
    };
    (token, Some(models))
}

/// Checks `/ready`, which needs the scope `ops`. None for a token that is refused: another finding says so.
pub(super) async fn readiness(gateway: &GatewayClient) -> Option<Finding> {
    let response = match get(gateway, &["ready"]).await {
        Ok(response) => response,
        Err(error) => return Some(Finding::problem("ready", format!("{error:#}"), "try again")),
    };
    Some(match response.status() {
        StatusCode::UNAUTHORIZED => return None,
        StatusCode::OK => Finding::ok("ready", "the gateway's stores can be used"),
        StatusCode::FORBIDDEN => Finding::ok("ready", "not checked: the token lacks the scope ops"),
        StatusCode::SERVICE_UNAVAILABLE => {
            let body: Value = response.json().await.unwrap_or_default();
            let advice = "look at the gateway's log, and at the table, the bucket and the secret";
            Finding::problem("ready", format!("not ready: {}", body["checks"]), advice)
        }
        status => Finding::problem("ready", format!("/ready answers {status}"), "look at the gateway's log"),
    })
}

/// The models that are listed first.
pub(super) async fn models(gateway: &GatewayClient) -> anyhow::Result<ModelList> {
    read(gateway, &["v1", "models"]).await
}

async fn get(gateway: &GatewayClient, segments: &[&str]) -> anyhow::Result<Response> {
    let response = gateway.response_of(segments, &[]);
    reach::response_of(tokio::time::timeout(RESPONSE_TIMEOUT, response).await, gateway)
}

async fn read<T: serde::de::DeserializeOwned>(
    gateway: &GatewayClient,
    segments: &[&str],
) -> anyhow::Result<T> {
    let response = gateway.get(segments, &[]);
    reach::response_of(tokio::time::timeout(RESPONSE_TIMEOUT, response).await, gateway)
}

/// The code of an error of the gateway's.
pub(super) fn code(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<GatewayError>().map(|GatewayError { body, .. }| body.code.as_str())
}
