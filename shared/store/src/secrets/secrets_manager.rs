//! The secrets in Secrets Manager, through the AWS SDK.

use async_trait::async_trait;
use aws_sdk_secretsmanager::{
    Client,
    operation::{get_secret_value::GetSecretValueError, put_secret_value::PutSecretValueError},
};
use hearth_domain::Secret;

use super::{Secrets, missing};
use crate::{StoreError, clients::failed};

/// Secrets Manager.
#[derive(Debug, Clone)]
pub(crate) struct SecretsManager(pub(crate) Client);

#[async_trait]
impl Secrets for SecretsManager {
    async fn get(&self, name: &str) -> Result<Option<Secret>, StoreError> {
        let error = match self.0.get_secret_value().secret_id(name).send().await {
            Ok(answer) => {
                let text = answer.secret_string;
                let text = text.ok_or_else(|| StoreError::Unreadable("the secret is no text".to_owned()))?;
                return Ok(Some(Secret::new(text)));
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(GetSecretValueError::ResourceNotFoundException(_)) => Ok(None),
            _ => Err(failed("get_secret_value", &error)),
        }
    }

    async fn put(&self, name: &str, secret: &Secret) -> Result<(), StoreError> {
        let put = self.0.put_secret_value().secret_id(name).secret_string(secret.expose());
        let Err(error) = put.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(PutSecretValueError::ResourceNotFoundException(_)) => {
                let call = self.0.create_secret().name(name).secret_string(secret.expose());
                call.send().await.map(drop).map_err(|error| failed("create_secret", &error))
            }
            _ => Err(failed("put_secret_value", &error)),
        }
    }

    /// Reads its description: a caller who checks it needs no permission to read it.
    async fn check(&self, name: &str) -> Result<(), StoreError> {
        let answer = self.0.describe_secret().secret_id(name).send().await;
        let answer = answer.map_err(|error| failed("describe_secret", &error))?;
        // Secrets Manager describes a deleted secret until its recovery window ends.
        if answer.deleted_date.is_some() { Err(missing(name)) } else { Ok(()) }
    }
}
