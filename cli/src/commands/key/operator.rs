//! The keys of the gateway's operator.

use anyhow::bail;
use hearth_wire::native::providers::{ProviderBody, ProviderList};
use serde_json::json;

use super::input::Set;
use crate::client::{error::GatewayError, gateway_client::GatewayClient, table::Table, terminal};

pub(super) async fn set(gateway: &GatewayClient, set: &Set, json: bool) -> anyhow::Result<()> {
    let provider = &set.provider;
    if set.kind.is_some() || set.base_url.is_some() || set.name.is_some() {
        bail!(
            "--kind, --base-url and --name are for keys with --user, --organisation or --team; the operator sets \
             providers.{provider} in hearth.toml or with `hearth config push`"
        );
    }
    // Before the user types a key that can't be stored.
    check_permission(gateway).await.map_err(with_advice)?;
    let key = set.read()?;
    gateway.put(&["v1", "providers", provider, "key"], &json!({"key": key})).await.map_err(with_advice)?;
    print_done(json, provider, "set")?;
    let list = format!("hearth models list --provider {provider}");
    let chat = format!("hearth chat --model {provider}:MODEL");
    terminal::next_steps(json, &[&list, &chat]);
    Ok(())
}

pub(super) async fn remove(gateway: &GatewayClient, provider: &str, json: bool) -> anyhow::Result<()> {
    gateway.delete(&["v1", "providers", provider, "key"]).await.map_err(with_advice)?;
    print_done(json, provider, "removed")
}

/// Shows the providers, and whose key the caller's requests use at each.
pub(super) async fn list(gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
    let list: ProviderList = gateway.get(&["v1", "providers"], &[]).await?;
    if json {
        return terminal::print_json(&list);
    }
    if list.providers.is_empty() {
        terminal::note("no provider is set up; set one up with `hearth key set openai`");
        return Ok(());
    }
    let mut table = Table::new(["PROVIDER", "KIND", "KEY", "PAYS", "MODELS"]);
    for ProviderBody { name, kind, configured, payer, models, .. } in list.providers {
        let key = if configured { "set" } else { "missing" };
        let payer = payer.map_or("-", |payer| payer.as_str());
        table.push([name, kind, key.to_owned(), payer.to_owned(), models.join(",")]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

/// Checks that a gateway answers and that the token may set keys, by a list that takes the same permission.
async fn check_permission(gateway: &GatewayClient) -> anyhow::Result<()> {
    gateway.get::<serde_json::Value>(&["v1", "config", "versions"], &[]).await.map(drop)
}

/// Names the flag of one's own key to a user who isn't the operator.
fn with_advice(error: anyhow::Error) -> anyhow::Error {
    if is_forbidden(&error) {
        error.context("only the gateway's operator sets its keys; add --user for a key of your own")
    } else {
        error
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    error.downcast_ref::<GatewayError>().is_some_and(|GatewayError { body, .. }| body.code == "forbidden")
}

fn print_done(json: bool, provider: &str, what: &str) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&json!({"provider": provider, what: true}));
    }
    Ok(terminal::print_line(&format!("the key of {provider} is {what}"))?)
}
