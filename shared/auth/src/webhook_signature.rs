//! Signatures of webhooks by the Standard Webhooks specification, version 1, with symmetric keys
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! The signature is the HMAC-SHA256 of `id.timestamp.body`. The specification's own crate brings a second HMAC and a second
//! base64, and isn't needed for two calls; the tests verify by the specification's own libraries.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, general_purpose::PAD},
    prelude::BASE64_STANDARD,
};
use hearth_domain::{Secret, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::Rng as _;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Prefix of a secret's text.
pub const PREFIX: &str = "whsec_";
/// Bytes of a new secret: the specification's recommendation is 24 to 64.
const NEW_BYTES: usize = 32;
/// Bytes that a secret may have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Reads texts with and without padding.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// A secret that isn't one of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's secret is {PREFIX} and 24 to 64 bytes in base64; leave it out to have one generated")]
pub struct InvalidWebhookSecret;

/// Generates a secret.
#[must_use]
pub fn generate_secret() -> Secret {
    let mut bytes = Zeroizing::new([0; NEW_BYTES]);
    rand::rng().fill_bytes(&mut bytes[..]);
    Secret::new(format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes.as_slice())))
}

/// Checks a secret that a client has chosen.
///
/// # Errors
/// If it has another form.
pub fn check_secret(secret: &Secret) -> Result<(), InvalidWebhookSecret> {
    key(secret).map(drop)
}

/// The header `webhook-signature` of a message: a signature for each of the secrets, the current one first. Secrets that can't
/// be read are left out; none was stored unchecked.
#[must_use]
pub fn sign(secrets: &[Secret], id: &str, timestamp: Timestamp, body: &[u8]) -> String {
    let signatures = secrets.iter().filter_map(|secret| key(secret).ok()).map(|key| {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key");
        mac.update(format!("{id}.{}.", timestamp.unix()).as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

fn key(secret: &Secret) -> Result<Zeroizing<Vec<u8>>, InvalidWebhookSecret> {
    let text = secret.expose().strip_prefix(PREFIX).ok_or(InvalidWebhookSecret)?;
    let bytes = Zeroizing::new(LENIENT.decode(text).map_err(|_| InvalidWebhookSecret)?);
    if BYTES.contains(&bytes.len()) { Ok(bytes) } else { Err(InvalidWebhookSecret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_that_of_the_specifications_test() {
        // libraries/rust/src/lib.rs of standard-webhooks, `test_sign`.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = |secrets: &[Secret]| {
            sign(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp::from_unix(1_614_265_330), body)
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed(std::slice::from_ref(&secret)), expected);
        let both = signed(&[generate_secret(), secret]);
        assert!(both.starts_with("v1,") && both.ends_with(&format!(" {expected}")), "{both}");
    }

    #[test]
    fn secrets_of_other_forms_are_refused() {
        assert_eq!(check_secret(&generate_secret()), Ok(()));
        for bad in
            ["", "whsec_", "secret", "whsec_c2hvcnQ=", "whsec_*", &format!("whsec_{}", "A".repeat(400))]
        {
            assert_eq!(check_secret(&Secret::new(bad)), Err(InvalidWebhookSecret), "{bad}");
        }
    }
}
