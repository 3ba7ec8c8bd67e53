//! Secrets Manager's JSON protocol over a key file.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{ACCOUNT, REGION, dynamodb::Answer};

/// The name of the emulated S3's own signing key.
const SIGNING: &str = "embedded/s3-signing";
/// The six characters that Secrets Manager appends to a name in an ARN; it chooses them itself.
const ARN_SUFFIX: &str = "-AbCdEf";

/// The ARN of a secret, by its name or its ARN.
pub(crate) fn arn(id: &str) -> String {
    format!("{}{}{ARN_SUFFIX}", arn_prefix(), name_of(id))
}

/// The name of a secret, by its name or its ARN.
fn name_of(id: &str) -> &str {
    id.strip_prefix(&arn_prefix()).and_then(|name| name.strip_suffix(ARN_SUFFIX)).unwrap_or(id)
}

fn arn_prefix() -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:")
}

#[derive(Clone)]
pub(crate) struct KeyFile(Arc<Mutex<Contents>>);

struct Contents {
    path: PathBuf,
    secrets: BTreeMap<String, String>,
}

impl KeyFile {
    /// Opens the file, or begins without secrets if it doesn't exist.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let secrets = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Mutex::new(Contents { path, secrets }))))
    }

    /// The key of presigned URLs, generated at the first call.
    pub(crate) fn signing_secret(&self) -> io::Result<String> {
        if let Some(secret) = self.get(SIGNING) {
            return Ok(secret);
        }
        let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        self.put(SIGNING, &secret)?;
        Ok(secret)
    }

    /// Answers `GetSecretValue`, `CreateSecret`, `PutSecretValue` and `DescribeSecret`.
    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = name_of(request["SecretId"].as_str().or(request["Name"].as_str()).unwrap_or_default());
        let arn = arn(name);
        let stored = self.get(name).filter(|_| name != SIGNING);
        let (status, body) = match (operation, stored) {
            ("GetSecretValue", Some(secret)) => {
                (200, json!({"Name": name, "ARN": arn, "SecretString": secret}))
            }
            ("DescribeSecret", Some(_)) => (200, json!({"Name": name, "ARN": arn})),
            ("CreateSecret", Some(_)) => (400, json!({"__type": "ResourceExistsException"})),
            ("CreateSecret", None) | ("PutSecretValue", Some(_)) => {
                match self.put(name, request["SecretString"].as_str().unwrap_or_default()) {
                    Ok(()) => (200, json!({"Name": name, "ARN": arn})),
                    Err(error) => {
                        (500, json!({"__type": "InternalServiceError", "Message": error.to_string()}))
                    }
                }
            }
            (_, None) => (400, json!({"__type": "ResourceNotFoundException", "Message": "no such secret"})),
            _ => (
                400,
                json!({"__type": "InvalidRequestException", "Message": "the operation isn't supported"}),
            ),
        };
        (status, body.to_string().into_bytes())
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).secrets.get(name).cloned()
    }

    fn put(&self, name: &str, secret: &str) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        contents.secrets.insert(name.to_owned(), secret.to_owned());
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&contents.path)?;
        file.write_all(&serde_json::to_vec_pretty(&contents.secrets)?)
    }
}
