//! Checks of a gateway by its address, as its clients reach it: at home or in the cloud.
//!
//! [`reach`] checks the way to the gateway, [`access`] its routes with and without the token, and [`answer`] a streamed answer.

mod access;
mod answer;
mod reach;

use serde_json::json;

use super::finding::{Finding, is_healthy, lines, outcome};
use crate::client::{connection::Connection, gateway_client::GatewayClient, terminal};

/// Checks the gateway at the connection's address, and prints the findings. `model`: the model that answers, rather than the
/// gateway's choice; `answers`: an answer may be requested.
///
/// # Errors
/// The address can't be parsed, or a finding is a problem, which was printed.
pub(super) async fn examine(
    connection: &Connection,
    model: Option<&str>,
    answers: bool,
) -> anyhow::Result<()> {
    let gateway = GatewayClient::new(connection)?;
    let findings = findings(&gateway, connection, model, answers).await;
    let healthy = is_healthy(&findings);
    if connection.json {
        terminal::print_json(&json!({"healthy": healthy, "url": gateway.address(), "findings": findings}))?;
    } else {
        terminal::print(&lines(&findings))?;
    }
    outcome(healthy)
}

async fn findings(
    gateway: &GatewayClient,
    connection: &Connection,
    model: Option<&str>,
    answers: bool,
) -> Vec<Finding> {
    let (mut findings, is_hearth) = reach::check(gateway).await;
    if !is_hearth {
        return findings;
    }
    findings.push(access::without_token(gateway).await);
    if !connection.has_credential() {
        findings.push(Finding::warning(
            "token",
            "no token is given: models and answers aren't checked",
            "set one in HEARTH_TOKEN, or give it with --token",
        ));
        return findings;
    }
    let (token, models) = access::with_token(gateway).await;
    findings.push(token);
    findings.extend(access::readiness(gateway).await);
    findings.extend(models);
    if answers && is_healthy(&findings) {
        findings.extend(answer::check(gateway, model).await);
    }
    findings
}

#[cfg(test)]
mod tests;
