//! The AWS SDK's clients.

use std::error::Error;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::{Builder, tls};

use crate::StoreError;

/// The clients.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The table's.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The bucket's.
    pub s3: aws_sdk_s3::Client,
    /// The secrets'.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Clients {
    /// Clients as the AWS environment sets them up: region, credentials, `AWS_ENDPOINT_URL`.
    pub async fn from_environment() -> Self {
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = Builder::new().tls_provider(tls).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
        // Buckets have their own host names in the cloud; a local endpoint has none for them.
        let path_style = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(path_style).build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
        }
    }
}

/// An error of the SDK, with the reason in words. The SDK's `Display` hides the reason in its sources.
pub(crate) fn failed<E, R>(operation: &'static str, error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    let mut reason = error.to_string();
    // An error that the SDK has no type for shows its code alone.
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
