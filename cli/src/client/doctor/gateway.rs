//! The port to listen on, and the gateway that client commands talk to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use hearth_domain::Secret;
use serde_json::Value;
use tokio::net::TcpListener;

use super::finding::Finding;
use crate::client::{connection::Connection, error::GatewayError, http::Gateway};

/// Whoever answers later than this has another trouble.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether `hearth up` could listen, or does.
pub(super) async fn port(host: IpAddr, port: u16) -> Finding {
    if port == 0 {
        return Finding::ok("port", "any free one");
    }
    let address = SocketAddr::new(host, port);
    match TcpListener::bind(address).await {
        Ok(_) => Finding::ok("port", format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken(address).await,
        Err(error) => Finding::problem(
            "port",
            format!("{address} can't be listened on: {error}"),
            "choose another with --host and --port",
        ),
    }
}

async fn taken(address: SocketAddr) -> Finding {
    let mut asked = address;
    if asked.ip().is_unspecified() {
        asked.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let connection = Connection { url: Some(format!("http://{asked}")), token: None, json: false };
    match health(&connection).await {
        Ok(()) => Finding::ok("port", format!("hearth listens on {address}")),
        Err(_) => Finding::problem(
            "port",
            format!("{address} is in use by another program"),
            "choose another with --port, or any free one with --port 0",
        ),
    }
}

/// The state of a gateway that the doctor can read.
pub(super) enum Answers {
    /// None runs.
    Nobody,
    /// One runs, and does not say what models it has.
    Nothing,
    /// One runs, with these models.
    Models(Value),
}

/// Whether a gateway answers, and takes the token. `named`: somebody said where it is.
pub(super) async fn gateway(connection: &Connection, named: bool) -> (Finding, Answers) {
    let mut answers = Answers::Nothing;
    let finding = look(connection, named, &mut answers).await;
    (finding, answers)
}

async fn look(connection: &Connection, named: bool, answers: &mut Answers) -> Finding {
    let url = connection.url();
    if let Err(error) = health(connection).await {
        *answers = Answers::Nobody;
        if !named {
            return Finding::ok("gateway", format!("none runs at {url}; `hearth up` starts one"));
        }
        return Finding::warning(
            "gateway",
            format!("{error:#}"),
            "start it, or correct HEARTH_URL, or `url` in hearth.toml",
        );
    }
    if connection.token.as_ref().map_or("", Secret::expose).is_empty() {
        let advice = "give one in HEARTH_TOKEN, or as `token` in hearth.toml, before you use client commands";
        return Finding::warning("gateway", format!("{url} answers, and there is no token for it"), advice);
    }
    match ask(connection, &["v1", "models"]).await {
        Ok(models) => {
            *answers = Answers::Models(models);
            Finding::ok("gateway", format!("{url} answers, and takes the token"))
        }
        Err(error) => match error.downcast_ref::<GatewayError>() {
            // It is known, and may do other things.
            Some(GatewayError(body)) if body.code == "forbidden" => Finding::ok(
                "gateway",
                format!("{url} answers, and knows the token, which may not list models"),
            ),
            _ => Finding::warning("gateway", format!("{url} answers, but: {error:#}"), "make another token"),
        },
    }
}

async fn health(connection: &Connection) -> anyhow::Result<()> {
    let answer = ask(connection, &["health"]).await?;
    anyhow::ensure!(answer["status"] == "ok", "{} is another program", connection.url());
    Ok(())
}

async fn ask(connection: &Connection, route: &[&str]) -> anyhow::Result<Value> {
    let gateway = Gateway::new(connection)?;
    match tokio::time::timeout(PATIENCE, gateway.get(route, &[])).await {
        Ok(answer) => answer,
        Err(_) => anyhow::bail!("{} doesn't answer within {} s", connection.url(), PATIENCE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::StatusCode, routing::get};
    use hearth_wire::{ApiError, ErrorCode};
    use serde_json::json;

    use super::{super::finding::Level, *};
    use crate::client::testing::{closed_port, connection, serve};

    fn gateway_that(status: StatusCode, code: ErrorCode) -> Router {
        let models = async move || (status, Json(ApiError::new(code, "no").envelope("req_1")));
        Router::new()
            .route("/health", get(async || Json(json!({"status": "ok"}))))
            .route("/v1/models", get(models))
    }

    #[tokio::test]
    async fn a_gateway_is_there_or_not() {
        let ours = serve(gateway_that(StatusCode::OK, ErrorCode::Internal)).await;
        let wrong_token = serve(gateway_that(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized)).await;
        let few_scopes = serve(gateway_that(StatusCode::FORBIDDEN, ErrorCode::Forbidden)).await;
        let strangers = serve(Router::new()).await;
        let nobody = closed_port().await;
        for (url, named, level, words) in [
            (&ours, false, Level::Ok, "takes the token"),
            (&wrong_token, true, Level::Warning, "unauthorized"),
            (&few_scopes, true, Level::Ok, "knows the token"),
            (&strangers, true, Level::Warning, "404"),
            (&nobody, true, Level::Warning, "no gateway answers"),
            (&nobody, false, Level::Ok, "`hearth up` starts one"),
        ] {
            let (finding, _) = gateway(&connection(url), named).await;
            assert_eq!(finding.level, level, "{finding}");
            assert!(finding.message.contains(words), "{finding}");
        }
        let nameless = Connection { token: None, ..connection(&ours) };
        assert!(gateway(&nameless, true).await.0.message.contains("no token"));
    }

    #[tokio::test]
    async fn a_port_is_free_ours_or_anothers() {
        let at = |url: &str| -> SocketAddr { url.strip_prefix("http://").unwrap().parse().unwrap() };
        let free = at(&closed_port().await);
        let ours = at(&serve(gateway_that(StatusCode::OK, ErrorCode::Internal)).await);
        let strangers = at(&serve(Router::new()).await);
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 8080));
        for (address, level, words) in [
            (free, Level::Ok, "is free"),
            (ours, Level::Ok, "hearth listens"),
            (strangers, Level::Problem, "another program"),
            (elsewhere, Level::Problem, "can't be listened on"),
        ] {
            let finding = port(address.ip(), address.port()).await;
            assert_eq!(finding.level, level, "{finding}");
            assert!(finding.message.contains(words), "{finding}");
        }
        assert_eq!(port(free.ip(), 0).await.level, Level::Ok);
    }
}
