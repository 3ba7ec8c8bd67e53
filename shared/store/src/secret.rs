//! The gateway's secrets: its own, and the providers' keys.

use aws_sdk_secretsmanager::{
    Client,
    operation::{get_secret_value::GetSecretValueError, put_secret_value::PutSecretValueError},
};
use hearth_domain::Secret;

use crate::StoreError;

/// Makes the text of a new secret.
pub type NewSecret = fn() -> Secret;

/// The secret of this name; made with `new` where there is none and `new` is given.
pub(crate) async fn get(client: &Client, name: &str, new: Option<NewSecret>) -> Result<Secret, StoreError> {
    if let Some(secret) = find(client, name).await? {
        return Ok(secret);
    }
    let Some(new) = new else {
        return Err(StoreError::Unreadable(format!("the secret {name} isn't there")));
    };
    let secret = new();
    create(client, name, &secret).await?;
    Ok(secret)
}

/// The secret of this name, if there is one.
pub(crate) async fn find(client: &Client, name: &str) -> Result<Option<Secret>, StoreError> {
    let error = match client.get_secret_value().secret_id(name).send().await {
        Ok(answer) => {
            let text = answer
                .secret_string
                .ok_or_else(|| StoreError::Unreadable("the secret is no text".to_owned()))?;
            return Ok(Some(Secret::new(text)));
        }
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(GetSecretValueError::ResourceNotFoundException(_)) => Ok(None),
        _ => Err(StoreError::unavailable("get_secret_value", &error)),
    }
}

/// Writes the secret of this name.
pub(crate) async fn put(client: &Client, name: &str, secret: &Secret) -> Result<(), StoreError> {
    let put = client.put_secret_value().secret_id(name).secret_string(secret.expose());
    let Err(error) = put.send().await else { return Ok(()) };
    match error.as_service_error() {
        Some(PutSecretValueError::ResourceNotFoundException(_)) => create(client, name, secret).await,
        _ => Err(StoreError::unavailable("put_secret_value", &error)),
    }
}

async fn create(client: &Client, name: &str, secret: &Secret) -> Result<(), StoreError> {
    let call = client.create_secret().name(name).secret_string(secret.expose());
    call.send().await.map_err(|error| StoreError::unavailable("create_secret", &error))?;
    Ok(())
}
