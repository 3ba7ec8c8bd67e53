//! KMS' JSON protocol, for symmetric keys. Each ARN of the account is a key that exists; its bytes follow from the
//! emulator's own secret, so nothing is stored.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{ACCOUNT, REGION, dynamodb::Answer};

/// The bytes before a ciphertext that give the length of its key's ARN.
const LENGTH_BYTES: usize = 2;

/// The ARN of a key, by its id or its ARN.
pub(crate) fn arn(id: &str) -> String {
    if id.starts_with("arn:") {
        return id.to_owned();
    }
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}")
}

/// Answers `Encrypt`, `Decrypt` and `ReEncrypt`.
pub(crate) fn answer(secret: &str, operation: &str, body: &[u8]) -> Answer {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    match call(secret, operation, &request) {
        Ok(answer) => (200, answer.to_string().into_bytes()),
        Err(problem) => (400, json!({"__type": problem, "message": "refused"}).to_string().into_bytes()),
    }
}

/// The key that a request names, or that its ciphertext names.
pub(crate) fn key_of(request: &Value, name: &str) -> String {
    match request[name].as_str() {
        Some(id) => arn(id),
        None => bytes(&request["CiphertextBlob"])
            .and_then(|blob| split(&blob).map(|(key, _)| key))
            .unwrap_or_default(),
    }
}

fn call(secret: &str, operation: &str, request: &Value) -> Result<Value, &'static str> {
    let blob = || bytes(&request["CiphertextBlob"]).ok_or("InvalidCiphertextException");
    match operation {
        "Encrypt" => {
            let key = key_of(request, "KeyId");
            let plain = bytes(&request["Plaintext"]).ok_or("ValidationException")?;
            let blob = encrypt(secret, &key, &request["EncryptionContext"], plain)?;
            Ok(json!({"KeyId": key, "CiphertextBlob": BASE64_STANDARD.encode(blob)}))
        }
        "Decrypt" => {
            let key = key_of(request, "KeyId");
            let plain = decrypt(secret, &key, &request["EncryptionContext"], &blob()?)?;
            Ok(json!({"KeyId": key, "Plaintext": BASE64_STANDARD.encode(plain)}))
        }
        "ReEncrypt" => {
            let (from, to) =
                (key_of(request, "SourceKeyId"), arn(request["DestinationKeyId"].as_str().unwrap_or("")));
            let plain = decrypt(secret, &from, &request["SourceEncryptionContext"], &blob()?)?;
            let blob = encrypt(secret, &to, &request["DestinationEncryptionContext"], plain)?;
            Ok(json!({"KeyId": to, "SourceKeyId": from, "CiphertextBlob": BASE64_STANDARD.encode(blob)}))
        }
        _ => Err("UnsupportedOperationException"),
    }
}

/// A ciphertext: the length of the key's ARN, the ARN, a nonce, the encrypted bytes and their tag.
fn encrypt(secret: &str, key: &str, context: &Value, plain: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let nonce: [u8; NONCE_LEN] = rand::random();
    let mut sealed = plain;
    cipher(secret, key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(context), &mut sealed)
        .map_err(|_| "KMSInternalException")?;
    let length = u16::try_from(key.len()).map_err(|_| "ValidationException")?;
    Ok([&length.to_be_bytes(), key.as_bytes(), &nonce, &sealed].concat())
}

fn decrypt(secret: &str, key: &str, context: &Value, blob: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (own_key, rest) = split(blob).ok_or("InvalidCiphertextException")?;
    if own_key != key {
        return Err("IncorrectKeyException");
    }
    let (nonce, mut sealed) = rest
        .split_at_checked(NONCE_LEN)
        .map(|(nonce, sealed)| (nonce, sealed.to_vec()))
        .ok_or("InvalidCiphertextException")?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| "InvalidCiphertextException")?;
    let plain = cipher(secret, key)?.open_in_place(nonce, aad(context), &mut sealed);
    plain.map(|plain| plain.to_vec()).map_err(|_| "InvalidCiphertextException")
}

fn cipher(secret: &str, key: &str) -> Result<LessSafeKey, &'static str> {
    let bytes = Sha256::new().chain_update(secret).chain_update(key).finalize();
    UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new).map_err(|_| "KMSInternalException")
}

/// The pairs of a context in one order.
fn aad(context: &Value) -> Aad<Vec<u8>> {
    let mut pairs: Vec<_> = context.as_object().into_iter().flatten().map(|(k, v)| (k, v.as_str())).collect();
    pairs.sort();
    Aad::from(json!(pairs).to_string().into_bytes())
}

fn split(blob: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = blob.split_at_checked(LENGTH_BYTES)?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([length[0], length[1]])))?;
    Some((String::from_utf8(key.to_vec()).ok()?, rest))
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(operation: &str, request: &Value) -> (u16, Value) {
        let (status, body) = answer("secret", operation, request.to_string().as_bytes());
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn ciphertext_is_bound_to_its_key_and_context() {
        let context = json!({"purpose": "signing", "owner": "gateway"});
        let (status, sealed) =
            ask("Encrypt", &json!({"KeyId": "one", "Plaintext": "cGxhaW4=", "EncryptionContext": context}));
        assert_eq!((status, sealed["KeyId"].as_str()), (200, Some(arn("one").as_str())));
        let blob = &sealed["CiphertextBlob"];
        let decrypt = |key: &str, context: &Value| {
            ask("Decrypt", &json!({"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": context}))
        };
        assert_eq!(decrypt("one", &context).1["Plaintext"], "cGxhaW4=");
        // A map without an order.
        assert_eq!(decrypt("one", &json!({"owner": "gateway", "purpose": "signing"})).0, 200);
        assert_eq!(decrypt("two", &context).1["__type"], "IncorrectKeyException");
        assert_eq!(decrypt("one", &json!({"purpose": "signing"})).1["__type"], "InvalidCiphertextException");
        let moved = json!({"CiphertextBlob": blob, "SourceKeyId": "one", "SourceEncryptionContext": context,
            "DestinationKeyId": "two", "DestinationEncryptionContext": context});
        let blob = ask("ReEncrypt", &moved).1["CiphertextBlob"].clone();
        let (_, plain) = ask("Decrypt", &json!({"CiphertextBlob": blob, "EncryptionContext": context}));
        assert_eq!((&plain["Plaintext"], &plain["KeyId"]), (&json!("cGxhaW4="), &json!(arn("two"))));
    }
}
