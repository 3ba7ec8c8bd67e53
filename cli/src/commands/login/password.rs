//! Sign-in by a password, which is read from the terminal without echo, or from standard input.

use std::io::{IsTerminal as _, Read as _, stdin};

use anyhow::{Context as _, Result};
use hearth_wire::native::logins::LoginBody;
use serde_json::json;

use crate::client::{error::GatewayError, gateway_client::GatewayClient, terminal};

/// Bytes of standard input that are read as the password. More are refused by the gateway.
const PASSWORD_INPUT_MAX_BYTES: u64 = 64 << 10;

/// Signs in; asks for what isn't given.
///
/// # Errors
/// Nothing to read, no gateway, or an error of the gateway.
pub(super) async fn sign_in(
    gateway: &GatewayClient,
    email: Option<String>,
    organisation: Option<String>,
) -> Result<LoginBody> {
    let email = match email {
        Some(email) => email,
        None => read_email()?,
    };
    let mut body = json!({"email": email, "password": read_password()?});
    if let Some(organisation) = organisation {
        body["organisation"] = organisation.into();
    }
    gateway.post(&["v1", "users", "login"], &body).await.map_err(|error: anyhow::Error| {
        // "Sign in" is no advice for a wrong password.
        match error.downcast::<GatewayError>() {
            Ok(error) => error.without_hint().into(),
            Err(error) => error,
        }
    })
}

fn read_email() -> Result<String> {
    anyhow::ensure!(
        stdin().is_terminal(),
        "there is no terminal to ask for the address on; give it with --email, and the password on standard input"
    );
    terminal::ask("E-mail: ").context("the address can't be read")
}

/// Reads the password: an argument would be visible in the list of processes and in the shell's history.
fn read_password() -> Result<String> {
    if stdin().is_terminal() {
        return rpassword::prompt_password("Password (it is not shown): ")
            .context("the password can't be read");
    }
    let mut text = String::new();
    stdin().take(PASSWORD_INPUT_MAX_BYTES).read_to_string(&mut text).context("the password can't be read")?;
    // The first line, as `hearth user create` reads it. Spaces may be the password's.
    let password = text.lines().next().unwrap_or_default();
    anyhow::ensure!(!password.is_empty(), "the password is empty; send it to standard input");
    Ok(password.to_owned())
}
