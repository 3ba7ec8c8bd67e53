//! The device flow (RFC 8628): the user enters a code on a device with a browser, while this one waits.

use std::time::{Duration, Instant};

use hearth_domain::Secret;
use hearth_wire::native::sign_in::SignInProvider;
use serde::Deserialize;

use super::{
    SignedIn,
    issuer::{IssuerClient, oauth_error},
};
use crate::client::terminal;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Interval between two requests for the token, where the provider names none.
const DEFAULT_INTERVAL_SECONDS: u64 = 5;
/// Added to the interval when the provider asks to slow down.
const SLOW_DOWN_SECONDS: u64 = 5;
/// Bounds of what a provider can ask for.
const INTERVAL_MAX_SECONDS: u64 = 60;
const EXPIRY_MAX_SECONDS: u64 = 30 * 60;

#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: Option<Secret>,
    user_code: Option<String>,
    /// Google writes `verification_url`.
    #[serde(alias = "verification_url")]
    verification_uri: Option<String>,
    verification_uri_complete: Option<String>,
    expires_in: Option<u64>,
    interval: Option<u64>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Signs in on another device.
pub(super) async fn sign_in(issuer: &IssuerClient, provider: &SignInProvider) -> anyhow::Result<SignedIn> {
    let scopes = provider.scopes.join(" ");
    let secret = provider.client_secret.as_deref().map(|secret| ("client_secret", secret));
    let mut form = vec![("client_id", provider.client_id.as_str()), ("scope", scopes.as_str())];
    form.extend(secret);
    let answer: DeviceAnswer = issuer.device(&form).await?;
    if let Some(error) = &answer.error {
        return Err(oauth_error(error, answer.error_description.as_deref()));
    }
    let (Some(device_code), Some(user_code), Some(address)) =
        (&answer.device_code, &answer.user_code, &answer.verification_uri)
    else {
        anyhow::bail!("the identity provider's answer has no code for the device");
    };
    let printable = |text: &str| text.chars().filter(|c| !c.is_control()).take(500).collect::<String>();
    terminal::note(&format!(
        "Open {} on any device, and enter the code {}",
        printable(address),
        printable(user_code)
    ));
    if let Some(complete) = &answer.verification_uri_complete {
        terminal::note(&format!("or open {}", printable(complete)));
    }
    let expiry = Duration::from_secs(answer.expires_in.unwrap_or(EXPIRY_MAX_SECONDS).min(EXPIRY_MAX_SECONDS));
    let ends_at = Instant::now() + expiry;
    let mut interval = answer.interval.unwrap_or(DEFAULT_INTERVAL_SECONDS).clamp(1, INTERVAL_MAX_SECONDS);
    let mut form = vec![
        ("grant_type", GRANT_TYPE),
        ("device_code", device_code.expose()),
        ("client_id", provider.client_id.as_str()),
    ];
    form.extend(secret);
    loop {
        // The protocol has no event to wait for.
        tokio::time::sleep(Duration::from_secs(interval)).await;
        anyhow::ensure!(Instant::now() < ends_at, "the code has expired before it was entered; try again");
        let answer = issuer.token(&form).await?;
        match answer.error.as_deref() {
            Some("authorization_pending") => {}
            Some("slow_down") => interval = (interval + SLOW_DOWN_SECONDS).min(INTERVAL_MAX_SECONDS),
            _ => return Ok(SignedIn { id_token: answer.id_token()?, nonce: None }),
        }
    }
}
