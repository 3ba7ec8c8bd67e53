//! The AWS SDK's clients.

use std::error::Error;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::{
    config::SharedCredentialsProvider,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{Builder, tls};

use crate::StoreError;

/// The clients of the services.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For the table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// For the keys that wrap data keys.
    pub kms: aws_sdk_kms::Client,
    /// For the bucket.
    pub s3: aws_sdk_s3::Client,
    /// For the secrets.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Clients {
    /// Creates clients from the AWS environment: region, credentials, `AWS_ENDPOINT_URL`.
    pub async fn from_environment() -> Self {
        Self::new(&environment().await)
    }

    /// As [`Self::from_environment`], with the source of the credentials.
    pub async fn with_credentials() -> (Self, Option<SharedCredentialsProvider>) {
        let config = environment().await;
        (Self::new(&config), config.credentials_provider())
    }

    /// As [`Self::from_environment`], for a person's command: gets the credentials first.
    ///
    /// # Errors
    /// There is no region, or there are no credentials; the error has the remedy.
    #[cfg(feature = "profiles")]
    pub async fn for_commands() -> Result<Self, crate::CredentialsError> {
        Ok(Self::new(&crate::credentials::resolve(environment().await).await?))
    }

    /// Checks that the table exists, for a command that must not create it.
    ///
    /// # Errors
    /// `NoTable` if it doesn't exist; else if its description can't be read.
    #[cfg(feature = "profiles")]
    pub async fn check_table(&self, table: &str) -> Result<(), StoreError> {
        use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;

        let Err(error) = self.dynamodb.describe_table().table_name(table).send().await else { return Ok(()) };
        if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) {
            let region = self.dynamodb.config().region().map(ToString::to_string).unwrap_or_default();
            return Err(StoreError::NoTable { table: table.to_owned(), region });
        }
        Err(failed("describe_table", &error))
    }

    fn new(config: &SdkConfig) -> Self {
        // In the cloud each bucket has a host name; a local endpoint has one for all.
        let path_style = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: aws_sdk_secretsmanager::Client::new(config),
        }
    }
}

async fn environment() -> SdkConfig {
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let http = Builder::new().tls_provider(tls).build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
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
