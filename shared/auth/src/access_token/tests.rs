use serde_json::{Value, json};

use super::*;

fn signer() -> AccessTokenSigner {
    AccessTokenSigner::generate().unwrap().0
}

fn verifier(signer: &AccessTokenSigner) -> AccessTokenVerifier {
    AccessTokenVerifier::new(&signer.public_key()).unwrap()
}

fn now() -> i64 {
    hearth_domain::Timestamp::now().unix()
}

fn claims() -> AccessClaims {
    AccessClaims::new(UserId::new(), OrganisationId::new(), LoginId::new(), now())
}

/// Signs any claims under any header with the key of `signer`.
fn sign(signer: &AccessTokenSigner, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signer.key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn token_is_verified_by_its_own_key_only() {
    let signer = signer();
    let claims = claims();
    let token = signer.sign(&claims).unwrap();
    assert_eq!(verifier(&signer).verify(token.expose()).unwrap(), claims);
    assert!(verifier(&self::signer()).verify(token.expose()).is_err());
    assert_eq!(read_key_id(token.expose()).unwrap(), signer.kid());
    assert!(token.expose().starts_with("eyJ") && token.expose().len() < 600, "{}", token.expose().len());
}

#[test]
fn stored_key_signs_as_the_generated_one() {
    let (signer, stored) = AccessTokenSigner::generate().unwrap();
    let again = AccessTokenSigner::from_stored(&stored).unwrap();
    assert_eq!((again.kid(), again.public_key()), (signer.kid(), signer.public_key()));
    assert!(!format!("{signer:?}").contains(stored.expose()));
    for bad in ["", "AAAA", "!"] {
        assert!(AccessTokenSigner::from_stored(&Secret::new(bad)).is_err(), "{bad:?}");
        assert!(AccessTokenVerifier::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn token_with_a_wrong_claim_is_refused() {
    let signer = signer();
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": signer.kid()});
    let good = serde_json::to_value(claims()).unwrap();
    assert!(verifier(&signer).verify(&sign(&signer, &header, &good)).is_ok());
    for (claim, value) in [
        ("iss", json!("another")),
        ("iss", Value::Null),
        ("aud", json!("another")),
        ("aud", Value::Null),
        ("sub", json!("org_01J9ZX5V2QH8N4T6W0C3M7K1RB")),
        ("sub", Value::Null),
        ("sid", Value::Null),
        ("org", json!(7)),
        ("exp", json!(now() - 60)),
        ("exp", Value::Null),
        ("exp", json!("never")),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        let token = sign(&signer, &header, &claims);
        assert!(verifier(&signer).verify(&token).is_err(), "{claim}: {value}");
        claims.as_object_mut().unwrap().remove(claim);
        assert!(verifier(&signer).verify(&sign(&signer, &header, &claims)).is_err(), "without {claim}");
    }
}

#[test]
fn token_of_another_algorithm_is_refused() {
    let signer = signer();
    let claims = serde_json::to_value(claims()).unwrap();
    for algorithm in ["none", "None", "HS256", "RS256", "ES256", "EdDSA ", ""] {
        let header = json!({"alg": algorithm, "kid": signer.kid()});
        let token = sign(&signer, &header, &claims);
        assert!(verifier(&signer).verify(&token).is_err(), "{algorithm:?}");
        assert!(read_key_id(&token).is_err(), "{algorithm:?}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert!(verifier(&signer).verify(&unsigned).is_err(), "{algorithm:?} without a signature");
    }
}

#[test]
fn text_that_is_no_token_is_refused() {
    let token = signer().sign(&claims()).unwrap().expose().to_owned();
    let long = format!("eyJ{}", "A".repeat(TOKEN_MAX_BYTES));
    for bad in ["", "eyJ", "eyJ.eyJ.x", "a.b.c.d", &token[..40], &token.replace('.', ""), &long] {
        assert!(read_key_id(bad).is_err(), "{bad:?}");
    }
}
