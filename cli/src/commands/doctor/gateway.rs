//! Checks of the port to listen on, and of the gateway that client commands use.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde_json::Value;
use tokio::net::TcpListener;

use super::finding::Finding;
use crate::client::{connection::Connection, error::GatewayError, gateway_client::GatewayClient};

/// Timeout for a response of the gateway.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks whether `hearth up` could listen on the port, or does.
pub(super) async fn port(host: IpAddr, port: u16) -> Finding {
    if port == 0 {
        return Finding::ok("port", "any free port");
    }
    let address = SocketAddr::new(host, port);
    match TcpListener::bind(address).await {
        Ok(_) => Finding::ok("port", format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => port_in_use(address).await,
        Err(error) => Finding::problem(
            "port",
            format!("{address} can't be listened on: {error}"),
            "choose another with --host and --port",
        ),
    }
}

async fn port_in_use(address: SocketAddr) -> Finding {
    let mut target = address;
    if target.ip().is_unspecified() {
        target.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let connection = Connection::default().at(&format!("http://{target}"));
    match health(&connection).await {
        Ok(()) => Finding::ok("port", format!("hearth listens on {address}")),
        Err(_) => Finding::problem(
            "port",
            format!("{address} is in use by another program"),
            "choose another with --port, or any free one with --port 0",
        ),
    }
}

/// The state of the gateway.
pub(super) enum GatewayState {
    /// No gateway runs.
    Stopped,
    /// A gateway runs, and doesn't list its models.
    Unlisted,
    /// A gateway runs, with these models.
    Models(Value),
}

/// Checks whether a gateway answers, and accepts the token. `is_url_set`: its address is configured.
pub(super) async fn gateway(connection: &Connection, is_url_set: bool) -> (Finding, GatewayState) {
    let mut state = GatewayState::Unlisted;
    let finding = check(connection, is_url_set, &mut state).await;
    (finding, state)
}

async fn check(connection: &Connection, is_url_set: bool, state: &mut GatewayState) -> Finding {
    let url = connection.url();
    if let Err(error) = health(connection).await {
        *state = GatewayState::Stopped;
        if !is_url_set {
            return Finding::ok("gateway", format!("none runs at {url}; `hearth up` starts one"));
        }
        return Finding::warning(
            "gateway",
            format!("{error:#}"),
            "start it, or correct HEARTH_URL, or `url` in hearth.toml",
        );
    }
    if !connection.has_credential() {
        let advice = "set one in HEARTH_TOKEN, or as `token` in hearth.toml, before you use client commands";
        return Finding::warning("gateway", format!("{url} answers, and there is no token for it"), advice);
    }
    match request(connection, &["v1", "models"]).await {
        Ok(models) => {
            *state = GatewayState::Models(models);
            Finding::ok("gateway", format!("{url} answers, and accepts the token"))
        }
        Err(error) => match error.downcast_ref::<GatewayError>() {
            // The token is valid, with other scopes.
            Some(GatewayError { body, .. }) if body.code == "forbidden" => Finding::ok(
                "gateway",
                format!("{url} answers, and accepts the token, which may not list models"),
            ),
            _ => {
                Finding::warning("gateway", format!("{url} answers, but: {error:#}"), "create another token")
            }
        },
    }
}

pub(super) async fn health(connection: &Connection) -> anyhow::Result<()> {
    let answer = request(connection, &["health"]).await?;
    anyhow::ensure!(answer["status"] == "ok", "{} is another program", connection.url());
    Ok(())
}

async fn request(connection: &Connection, route: &[&str]) -> anyhow::Result<Value> {
    let gateway = GatewayClient::new(connection)?;
    match tokio::time::timeout(RESPONSE_TIMEOUT, gateway.get(route, &[])).await {
        Ok(answer) => answer,
        Err(_) => {
            anyhow::bail!("{} doesn't answer within {} s", connection.url(), RESPONSE_TIMEOUT.as_secs())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::StatusCode, routing::get};
    use hearth_wire::{ApiError, ErrorCode};
    use serde_json::json;

    use super::{super::finding::Level, *};
    use crate::client::testing::{closed_port, connection, serve};

    fn gateway_with(status: StatusCode, code: ErrorCode) -> Router {
        let models = async move || (status, Json(ApiError::new(code, "no").envelope("req_1")));
        Router::new()
            .route("/health", get(async || Json(json!({"status": "ok"}))))
            .route("/v1/models", get(models))
    }

    #[tokio::test]
    async fn gateway_state_is_found() {
        let ours = serve(gateway_with(StatusCode::OK, ErrorCode::Internal)).await;
        let wrong_token = serve(gateway_with(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized)).await;
        let few_scopes = serve(gateway_with(StatusCode::FORBIDDEN, ErrorCode::Forbidden)).await;
        let other_program = serve(Router::new()).await;
        let stopped = closed_port().await;
        for (url, is_url_set, level, words) in [
            (&ours, false, Level::Ok, "accepts the token"),
            (&wrong_token, true, Level::Warning, "unauthorized"),
            (&few_scopes, true, Level::Ok, "may not list models"),
            (&other_program, true, Level::Warning, "404"),
            (&stopped, true, Level::Warning, "no gateway answers"),
            (&stopped, false, Level::Ok, "`hearth up` starts one"),
        ] {
            let (finding, _) = gateway(&connection(url), is_url_set).await;
            assert_eq!(finding.level, level, "{finding}");
            assert!(finding.message.contains(words), "{finding}");
        }
        let without_token = Connection { token: None, ..connection(&ours) };
        assert!(gateway(&without_token, true).await.0.message.contains("no token"));
    }

    #[tokio::test]
    async fn port_is_free_or_in_use() {
        let at = |url: &str| -> SocketAddr { url.strip_prefix("http://").unwrap().parse().unwrap() };
        let free = at(&closed_port().await);
        let ours = at(&serve(gateway_with(StatusCode::OK, ErrorCode::Internal)).await);
        let other_program = at(&serve(Router::new()).await);
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 8080));
        for (address, level, words) in [
            (free, Level::Ok, "is free"),
            (ours, Level::Ok, "hearth listens"),
            (other_program, Level::Problem, "another program"),
            (elsewhere, Level::Problem, "can't be listened on"),
        ] {
            let finding = port(address.ip(), address.port()).await;
            assert_eq!(finding.level, level, "{finding}");
            assert!(finding.message.contains(words), "{finding}");
        }
        assert_eq!(port(free.ip(), 0).await.level, Level::Ok);
    }
}
