//! The properties that hold for any credential of a client.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_auth::{
    AccessKey, AccessTokenSigner, AccessTokenVerifier, ApiToken, CodeKind, IssuerKeys, Keys, OneTimeCode,
    RefreshToken, TokenUse, UnverifiedToken, access_token, issuer,
};
use hearth_domain::Secret;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// The seed of the key that signs.
const SEED: [u8; 32] = [7; 32];
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "hearth";

/// Checks that a text which is taken for a credential is exactly the credential's text.
///
/// # Panics
/// If the property is violated.
pub fn check_credential(text: &str) {
    if let Ok(token) = text.parse::<ApiToken>() {
        assert_eq!(token.expose(), text);
    }
    if let Ok(key) = text.parse::<AccessKey>() {
        assert_eq!(key.expose(), text);
    }
    if let Ok(token) = text.parse::<RefreshToken>() {
        assert_eq!(token.expose(), text);
        assert!(!token.is_genuine("another key"), "a refresh token was forged");
    }
    for kind in [CodeKind::Invite, CodeKind::Bootstrap, CodeKind::PasswordReset] {
        if let Some(code) = OneTimeCode::parse(kind, &Secret::new(text)) {
            assert!(!format!("{code:?}").contains(code.expose()));
        }
    }
}

/// Checks that no text is an access token, and that claims under a good signature are accepted only while they are valid.
///
/// # Panics
/// If the property is violated.
pub fn check_access_token(data: &[u8]) {
    let Some((selector, data)) = data.split_first() else { return };
    let signer = AccessTokenSigner::from_stored(&Secret::new(BASE64_URL_SAFE_NO_PAD.encode(SEED))).unwrap();
    let verifier = AccessTokenVerifier::new(&signer.public_key()).unwrap();
    if selector & 1 == 0 {
        let text = String::from_utf8_lossy(data);
        let _ = access_token::read_key_id(&text);
        assert!(verifier.verify(&text).is_err(), "an access token was forged");
        return;
    }
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, signer.kid());
    if let Ok(claims) = verifier.verify(&sign(header.as_bytes(), data)) {
        assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (access_token::ISSUER, access_token::ISSUER));
        let skew = access_token::CLOCK_SKEW_LIMIT.as_secs().cast_signed();
        assert!(
            claims.exp + skew >= hearth_domain::Timestamp::now().unix() - 1,
            "an expired token was accepted"
        );
    }
}

/// Checks that no text is a cursor of another context's key, and that a sealed text is opened unchanged.
///
/// # Panics
/// If the property is violated.
pub fn check_cursor(text: &str) {
    let keys = Keys::derive(&Secret::new("a secret of the gateway that is long enough")).unwrap();
    assert!(keys.open_cursor("a context", text).is_none(), "a cursor was forged");
    let cursor = keys.seal_cursor("a context", text);
    assert_eq!(keys.open_cursor("a context", &cursor).as_deref(), Some(text));
    assert!(keys.open_cursor("another context", &cursor).is_none());
}

/// Checks that no text is a token of an identity provider, and that a header and claims under a good signature are accepted
/// only for this issuer and audience.
///
/// # Panics
/// If the property is violated.
pub fn check_issuer_token(data: &[u8]) {
    let Some((selector, data)) = data.split_first() else { return };
    let public = BASE64_URL_SAFE_NO_PAD.encode(key_pair().public_key());
    let jwks = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{public}"}}]}}"#);
    let keys = IssuerKeys::parse(jwks.as_bytes()).unwrap();
    let audiences = [AUDIENCE.to_owned()];
    let verify = |token: &str| issuer::verify(token, ISSUER, &keys, TokenUse::Bearer(&audiences));
    match selector % 3 {
        0 => {
            let text = String::from_utf8_lossy(data);
            let _ = UnverifiedToken::parse(&text);
            assert!(verify(&text).is_err(), "a token was forged");
        }
        1 => {
            let Some((length, data)) = data.split_first() else { return };
            let (header, claims) = data.split_at(usize::from(*length).min(data.len()));
            if verify(&sign(header, claims)).is_ok() {
                let claims: serde_json::Value = serde_json::from_slice(claims).unwrap();
                assert_eq!(claims["iss"], ISSUER);
                assert!(claims.to_string().contains(AUDIENCE));
            }
        }
        _ => {
            // Keys of kinds that aren't accepted are left out, so a set may have none.
            if let Ok(keys) = IssuerKeys::parse(data) {
                assert!(keys.count() <= 100);
            }
        }
    }
}

/// A JWT with this header and these claims.
fn sign(header: &[u8], claims: &[u8]) -> String {
    let signed =
        format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let signature = key_pair().sign(signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn key_pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap()
}
