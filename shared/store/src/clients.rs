//! The AWS SDK's clients.

use std::error::Error;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::{Builder, tls};

use crate::StoreError;

/// The clients of the three services.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For the table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// For the bucket.
    pub s3: aws_sdk_s3::Client,
    /// For the secrets.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Clients {
    /// Creates clients from the AWS environment: region, credentials, `AWS_ENDPOINT_URL`.
    pub async fn from_environment() -> Self {
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = Builder::new().tls_provider(tls).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
        // In the cloud each bucket has a host name; a local endpoint has one for all.
        let path_style = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(path_style).build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
        }
    }
}

/// Converts an error of the SDK, with its reason: the SDK's `Display` leaves that to the error's sources.
pub(crate) fn failed<E, R>(operation: &'static str, error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    let mut reason = error.to_string();
    // An error without a type in the SDK displays only its code.
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
    let mut source = error.source();
    while let Some(error) = source {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    if let Some(message) = message.filter(|message| !reason.contains(message)) {
        reason = format!("{reason}: {message}");
    }
    StoreError::Unavailable { operation, reason }
}
