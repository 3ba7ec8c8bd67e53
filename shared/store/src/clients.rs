//! The AWS SDK's clients.

use aws_config::BehaviorVersion;
use aws_smithy_http_client::{Builder, tls};

/// The clients. At home they are answered in the process; the code that uses them doesn't know.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The table's.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The bucket's.
    pub s3: aws_sdk_s3::Client,
    /// The secret's.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Clients {
    /// Clients that reach nothing: for what describes the API without serving it.
    #[must_use]
    pub fn unconnected() -> Self {
        let config = aws_config::SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            s3: aws_sdk_s3::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
        }
    }

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

/// What table, bucket and secret are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The table.
    pub table: String,
    /// The bucket.
    pub bucket: String,
    /// The secret's name or ARN.
    pub secret: String,
    /// The name or ARN of the secret that holds the providers' keys.
    pub provider_keys: String,
}
