//! The gateway's one secret.

use aws_sdk_secretsmanager::{Client, operation::get_secret_value::GetSecretValueError};
use hearth_domain::Secret;

use crate::StoreError;

/// Makes the text of a new secret.
pub type NewSecret = fn() -> Secret;

pub(crate) async fn get(client: &Client, name: &str, new: Option<NewSecret>) -> Result<Secret, StoreError> {
    let error = match client.get_secret_value().secret_id(name).send().await {
        Ok(answer) => {
            let text = answer
                .secret_string
                .ok_or_else(|| StoreError::Unreadable("the secret is no text".to_owned()))?;
            return Ok(Secret::new(text));
        }
        Err(error) => error,
    };
    let missing = error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception);
    let Some(new) = new.filter(|_| missing) else {
        return Err(StoreError::unavailable("get_secret_value", &error));
    };
    let secret = new();
    let call = client.create_secret().name(name).secret_string(secret.expose());
    call.send().await.map_err(|error| StoreError::unavailable("create_secret", &error))?;
    Ok(secret)
}
