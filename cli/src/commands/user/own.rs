//! Commands for one's own user: another password, and the export of everything.

use std::{io::IsTerminal as _, path::Path};

use anyhow::Context as _;
use futures::StreamExt as _;
use hearth_domain::Secret;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::password::{new_password, read_secret_line};
use crate::client::{gateway_client::GatewayClient, terminal};

/// Sets another password: by a code of an admin, or by the present one.
///
/// # Errors
/// No gateway, or an error of the gateway.
pub(super) async fn set_password(
    gateway: &GatewayClient,
    code: Option<Secret>,
    json: bool,
) -> anyhow::Result<()> {
    if let Some(code) = code {
        let body = json!({"code": code.expose(), "password": new_password()?.expose()});
        let _: Value = gateway.with_token(None).post(&["v1", "users", "password-reset"], &body).await?;
    } else {
        let current = if std::io::stdin().is_terminal() {
            let question = "Your present password, or Enter if you have none: ";
            Secret::new(rpassword::prompt_password(question).context("the password can't be read")?)
        } else {
            read_secret_line()?
        };
        let current = Some(current).filter(|password| !password.expose().is_empty());
        let mut body = json!({"new_password": new_password()?.expose()});
        if let Some(current) = current {
            body["current_password"] = current.expose().into();
        }
        let _: Value = gateway.post(&["v1", "users", "me", "password"], &body).await?;
    }
    if json {
        return terminal::print_json(&json!({"password": "changed"}));
    }
    Ok(terminal::print_line("the password is changed; other logins have ended")?)
}

/// Writes everything of the caller's to a zip file, which must not exist.
///
/// # Errors
/// No gateway, an error of the gateway, or the file can't be written.
pub(super) async fn export(gateway: &GatewayClient, file: &Path, json: bool) -> anyhow::Result<()> {
    let response = gateway.response_of(&["v1", "users", "me", "export"], &[]).await?;
    anyhow::ensure!(response.status().is_success(), "the gateway refuses the export: {}", response.status());
    let mut output = tokio::fs::File::create_new(file)
        .await
        .with_context(|| format!("{} can't be created", file.display()))?;
    let mut bytes = response.bytes_stream();
    let mut count = 0;
    while let Some(piece) = bytes.next().await {
        let piece = piece.context("the export broke off")?;
        count += piece.len();
        output.write_all(&piece).await?;
    }
    output.flush().await?;
    if json {
        return terminal::print_json(&json!({"file": file, "bytes": count}));
    }
    Ok(terminal::print_line(&format!("{} has everything of yours ({count} bytes)", file.display()))?)
}
