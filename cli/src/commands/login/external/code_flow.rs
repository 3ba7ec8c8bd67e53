//! The authorization code flow with PKCE: the user signs in in the browser, which brings a code back to this machine.

use std::time::Duration;

use hearth_auth::pkce::{Pkce, random_text};
use hearth_wire::native::sign_in::SignInProvider;

use super::{
    SignedIn, browser,
    issuer::{IssuerClient, oauth_error},
    loopback::{Callback, Loopback},
};
use crate::client::terminal;

/// Time for the user to sign in.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Signs in in the browser.
pub(super) async fn sign_in(
    issuer: &IssuerClient,
    provider: &SignInProvider,
    opens_browser: bool,
) -> anyhow::Result<SignedIn> {
    let loopback = Loopback::bind(&provider.redirect_uri).await?;
    let (pkce, state, nonce) = (Pkce::generate(), random_text(), random_text());
    let scopes = provider.scopes.join(" ");
    let url = issuer.authorization_url(&[
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", loopback.redirect_uri()),
        ("scope", &scopes),
        ("state", &state),
        ("nonce", &nonce),
        ("code_challenge", &pkce.challenge),
        ("code_challenge_method", "S256"),
    ]);
    if opens_browser && browser::open(&url) {
        terminal::note(&format!("Sign in in the browser. If it hasn't opened, open this address:\n  {url}"));
    } else {
        terminal::note(&format!("Open this address in a browser of this machine:\n  {url}"));
    }
    let callback = tokio::time::timeout(SIGN_IN_TIMEOUT, loopback.callback(&state)).await;
    let callback =
        callback.map_err(|_| anyhow::anyhow!("nobody has signed in within five minutes; try again"))??;
    let code = match callback {
        Callback::Code { code, issuer: named } => {
            // RFC 9207: an answer of another issuer, which was mixed up with this one's.
            anyhow::ensure!(
                named.is_none_or(|named| named == issuer.issuer()),
                "the browser has brought an answer of another identity provider; try again"
            );
            code
        }
        Callback::Error { code, description } => return Err(oauth_error(&code, description.as_deref())),
    };
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", loopback.redirect_uri()),
        ("client_id", &provider.client_id),
        ("code_verifier", pkce.verifier.expose()),
    ];
    form.extend(provider.client_secret.as_deref().map(|secret| ("client_secret", secret)));
    let id_token = issuer.token(&form).await?.id_token()?;
    Ok(SignedIn { id_token, nonce: Some(nonce) })
}
