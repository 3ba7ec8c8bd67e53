//! Tokens of every algorithm, and tokens that are refused.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::{
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://issuer.example";
const CLIENT: &str = "hearth-cli";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key pair with its public key as a JWK.
struct Signer {
    jwk: Value,
    sign: Sign,
}

impl Signer {
    fn rsa(padding: &'static dyn RsaEncoding) -> Self {
        let pair = RsaKeyPair::from_pkcs8(include_bytes!("test-rsa-1.pk8")).unwrap();
        let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        Self {
            jwk: json!({"kty": "RSA", "kid": "1", "use": "sig", "n": encode(public.n), "e": encode(public.e)}),
            sign: Box::new(sign),
        }
    }

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({"kty": "EC", "kid": "1", "crv": curve, "x": encode(x), "y": encode(y)});
        let sign = move |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
        Self { jwk, sign: Box::new(sign) }
    }

    fn ed25519() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        let jwk = json!({"kty": "OKP", "kid": "1", "crv": "Ed25519", "x": encode(pair.public_key())});
        Self { jwk, sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()) }
    }

    fn keys(&self) -> IssuerKeys {
        key_set(std::slice::from_ref(&self.jwk))
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = encode((self.sign)(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

fn key_set(keys: &[Value]) -> IssuerKeys {
    IssuerKeys::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "ada", "aud": CLIENT, "exp": now() + 600, "iat": now(), "nonce": "n",
        "email": "ada@example.com", "email_verified": true, "groups": ["a", "b"],
        "realm_access": {"roles": ["admin"]}, "https://hearth/roles": "x",
    })
}

fn with(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn sign_in<'a>() -> TokenUse<'a> {
    TokenUse::SignIn { client_id: CLIENT, nonce: Some("n") }
}

#[test]
fn token_of_every_accepted_algorithm_is_verified_by_its_own_key_alone() {
    let signers = || {
        [
            ("RS256", Signer::rsa(&RSA_PKCS1_SHA256)),
            ("RS384", Signer::rsa(&RSA_PKCS1_SHA384)),
            ("RS512", Signer::rsa(&RSA_PKCS1_SHA512)),
            ("PS256", Signer::rsa(&RSA_PSS_SHA256)),
            ("PS384", Signer::rsa(&RSA_PSS_SHA384)),
            ("PS512", Signer::rsa(&RSA_PSS_SHA512)),
            ("ES256", Signer::ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")),
            ("ES384", Signer::ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")),
            ("EdDSA", Signer::ed25519()),
        ]
    };
    for (algorithm, signer) in signers() {
        let token = signer.token(&json!({"alg": algorithm, "kid": "1", "typ": "JWT"}), &claims());
        assert!(UnverifiedToken::parse(&token).unwrap().has_key_in(&signer.keys()));
        let verified = verify(&token, ISSUER, &signer.keys(), sign_in()).unwrap();
        assert_eq!((verified.subject(), verified.name().as_str()), ("ada", "ada@example.com"), "{algorithm}");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let forged = format!("{}.{signature}", message.replace(&encode("{\"alg"), "x"));
        assert!(verify(&forged, ISSUER, &signer.keys(), sign_in()).is_err());
        let is_rsa = |algorithm: &str| algorithm[1..].starts_with('S') && !algorithm.starts_with('E');
        // Another key of the same id, which those of RSA share; and the signature under each other algorithm's name.
        for (other, other_signer) in signers() {
            let is_accepted = verify(&token, ISSUER, &other_signer.keys(), sign_in()).is_ok();
            assert_eq!(is_accepted, is_rsa(algorithm) && is_rsa(other), "{algorithm} by the key of {other}");
            if other != algorithm {
                let header = encode(json!({"alg": other, "kid": "1"}).to_string());
                let payload = message.split_once('.').unwrap().1;
                let renamed = format!("{header}.{payload}.{signature}");
                assert!(
                    verify(&renamed, ISSUER, &signer.keys(), sign_in()).is_err(),
                    "{algorithm} as {other}"
                );
            }
        }
    }
}

#[test]
fn hmac_and_none_are_refused_whatever_their_key() {
    let signer = Signer::rsa(&RSA_PKCS1_SHA256);
    for algorithm in ["none", "None", "HS256", "HS384", "HS512", "ES512", "RS1", ""] {
        let token = signer.token(&json!({"alg": algorithm, "kid": "1"}), &claims());
        let refused = verify(&token, ISSUER, &signer.keys(), sign_in());
        assert_eq!(refused.unwrap_err(), IssuerTokenError::Algorithm, "{algorithm}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert!(verify(&unsigned, ISSUER, &signer.keys(), sign_in()).is_err());
    }
}

#[test]
fn claim_that_is_wrong_is_named() {
    let signer = Signer::ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    let keys = signer.keys();
    let refusal = |changes: Value, token_use| {
        let token = signer.token(&json!({"alg": "ES256", "kid": "1"}), &with(claims(), &changes));
        verify(&token, ISSUER, &keys, token_use).err()
    };
    let audiences = [CLIENT.to_owned(), "api".to_owned()];
    let bearer = TokenUse::Bearer(&audiences);
    for (changes, token_use, expected) in [
        (json!({}), sign_in(), None),
        (json!({"exp": now() - 30}), sign_in(), None),
        (json!({"exp": now() - 90}), sign_in(), Some(IssuerTokenError::Expired)),
        (json!({"exp": null}), sign_in(), Some(IssuerTokenError::Claims)),
        (json!({"exp": "soon"}), sign_in(), Some(IssuerTokenError::Claims)),
        (json!({"nbf": now() + 30}), sign_in(), None),
        (json!({"nbf": now() + 90}), sign_in(), Some(IssuerTokenError::NotYetValid)),
        (json!({"iat": now() + 90}), sign_in(), Some(IssuerTokenError::NotYetValid)),
        (json!({"iat": null}), sign_in(), Some(IssuerTokenError::Claims)),
        (json!({"iat": null}), bearer, None),
        (json!({"iss": "https://issuer.example/"}), sign_in(), Some(IssuerTokenError::Issuer)),
        (json!({"iss": [ISSUER]}), sign_in(), Some(IssuerTokenError::Malformed)),
        (json!({"sub": null}), sign_in(), Some(IssuerTokenError::Claims)),
        (json!({"sub": ""}), sign_in(), Some(IssuerTokenError::Claims)),
        (json!({"nonce": "other"}), sign_in(), Some(IssuerTokenError::Nonce)),
        (json!({"nonce": null}), sign_in(), Some(IssuerTokenError::Nonce)),
        (json!({}), TokenUse::SignIn { client_id: CLIENT, nonce: None }, Some(IssuerTokenError::Nonce)),
        (json!({"aud": "other"}), sign_in(), Some(IssuerTokenError::Audience)),
        (json!({"aud": "api"}), sign_in(), Some(IssuerTokenError::Audience)),
        (json!({"aud": [CLIENT, "api"]}), sign_in(), Some(IssuerTokenError::Audience)),
        (json!({"aud": [CLIENT, "api"], "azp": CLIENT}), sign_in(), None),
        (json!({"azp": "other"}), sign_in(), Some(IssuerTokenError::Audience)),
        (json!({"token_use": "access"}), sign_in(), Some(IssuerTokenError::Audience)),
        (json!({"token_use": "id"}), sign_in(), None),
        (json!({"aud": null}), sign_in(), Some(IssuerTokenError::Audience)),
        (json!({"aud": ["x", "api"]}), bearer, None),
        (json!({"aud": "x", "azp": CLIENT}), bearer, Some(IssuerTokenError::Audience)),
        (json!({"aud": null, "client_id": CLIENT}), bearer, None),
        (json!({"aud": null, "client_id": "x"}), bearer, Some(IssuerTokenError::Audience)),
        (json!({"aud": null}), bearer, Some(IssuerTokenError::Audience)),
        (json!({}), TokenUse::Bearer(&[]), Some(IssuerTokenError::Audience)),
    ] {
        assert_eq!(refusal(changes.clone(), token_use), expected, "{changes} {token_use:?}");
    }
}

#[test]
fn key_is_chosen_by_id_and_use() {
    let (one, two) = (Signer::ed25519(), Signer::ed25519());
    let header = |kid: Value| with(json!({"alg": "EdDSA"}), &json!({"kid": kid}));
    let second = with(two.jwk.clone(), &json!({"kid": "2"}));
    let keys = key_set(&[one.jwk.clone(), second.clone(), json!({"kty": "oct", "k": "AAAA"}), json!(7)]);
    assert_eq!(keys.count(), 2);
    let check = |token: &str, keys: &IssuerKeys| verify(token, ISSUER, keys, sign_in()).err();
    assert_eq!(check(&two.token(&header(json!("2")), &claims()), &keys), None);
    assert_eq!(check(&two.token(&header(Value::Null), &claims()), &keys), None);
    assert_eq!(check(&two.token(&header(json!("1")), &claims()), &keys), Some(IssuerTokenError::Signature));
    let unknown = two.token(&header(json!("3")), &claims());
    assert_eq!(check(&unknown, &keys), Some(IssuerTokenError::UnknownKey));
    assert!(!UnverifiedToken::parse(&unknown).unwrap().has_key_in(&keys));
    for change in [json!({"use": "enc"}), json!({"alg": "ES256"}), json!({"crv": "X25519"})] {
        let keys = key_set(&[with(second.clone(), &change)]);
        let token = two.token(&header(json!("2")), &claims());
        assert_eq!(check(&token, &keys), Some(IssuerTokenError::UnknownKey), "{change}");
    }
    let too_many = json!({"keys": vec![second; 101]}).to_string();
    assert!(IssuerKeys::parse(too_many.as_bytes()).is_err() && IssuerKeys::parse(b"[]").is_err());
}

#[test]
fn token_with_an_extension_or_of_another_type_is_refused() {
    let signer = Signer::ed25519();
    let audiences = [CLIENT.to_owned()];
    let check = |header: Value, token_use| {
        let token = signer.token(&with(json!({"alg": "EdDSA"}), &header), &claims());
        verify(&token, ISSUER, &signer.keys(), token_use).is_ok()
    };
    assert!(check(json!({"typ": "at+jwt"}), TokenUse::Bearer(&audiences)));
    assert!(!check(json!({"typ": "at+jwt"}), sign_in()));
    assert!(!check(json!({"typ": "logout+jwt"}), TokenUse::Bearer(&audiences)));
    assert!(!check(json!({"crit": ["b64"], "b64": false}), sign_in()));
}

#[test]
fn claim_is_a_text_a_list_or_a_path() {
    let signer = Signer::ed25519();
    let token = signer.token(&json!({"alg": "EdDSA"}), &claims());
    let verified = verify(&token, ISSUER, &signer.keys(), sign_in()).unwrap();
    assert_eq!(verified.values("groups"), ["a", "b"]);
    assert_eq!(verified.values("realm_access.roles"), ["admin"]);
    assert_eq!(verified.values("https://hearth/roles"), ["x"]);
    assert!(verified.values("groups.a").is_empty() && verified.values("none").is_empty());
    assert_eq!(verified.verified_email().as_deref(), Some("ada@example.com"));
    assert!(!format!("{verified:?}").contains("ada"));
}

#[test]
fn text_that_is_no_token_is_malformed() {
    let long = format!("{}.e30.AAAA", "A".repeat(ISSUER_TOKEN_MAX_BYTES));
    for text in ["", ".", "..", "a.b.c", "a.b.c.d", "e30.e30.", "hth_abc", long.as_str()] {
        assert!(UnverifiedToken::parse(text).is_none(), "{text:.20}");
        let refused = verify(text, ISSUER, &IssuerKeys::default(), sign_in());
        assert_eq!(refused.unwrap_err(), IssuerTokenError::Malformed, "{text:.20}");
    }
}
