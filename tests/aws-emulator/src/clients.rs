//! AWS SDK clients whose requests are answered in this process.

use std::fmt;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig,
    retry::{ReconnectMode, RetryConfig},
    timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;

use crate::{ACCESS_KEY, AwsEmulator, REGION, dynamodb, router};

/// The configuration of a client whose requests are answered in this process, for the SDK crate `$sdk`.
///
/// A request waits for the database and the disk, and can't be lost. A timeout of the SDK (connect, read, operation,
/// stalled stream) would mistake a wait for a dead peer, and a retry would repeat a write and lengthen the queue.
macro_rules! in_process_config {
    ($sdk:ident, $embedded:expr, $endpoint:expr) => {
        $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider($embedded.credentials())
            .endpoint_url($endpoint)
            .http_client(InProcess($embedded.clone()))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .retry_config(RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections))
    };
}

impl AwsEmulator {
    /// Creates a DynamoDB client.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = in_process_config!(aws_sdk_dynamodb, self, "http://dynamodb.embedded");
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// Creates an S3 client. `endpoint` is the URL in its signatures: the address of [`AwsEmulator::router`], if that is
    /// served.
    #[must_use]
    pub fn s3(&self, endpoint: &str) -> aws_sdk_s3::Client {
        let config = in_process_config!(aws_sdk_s3, self, endpoint);
        aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
    }

    /// Creates a KMS client.
    #[must_use]
    pub fn kms(&self) -> aws_sdk_kms::Client {
        let config = in_process_config!(aws_sdk_kms, self, "http://kms.embedded");
        aws_sdk_kms::Client::from_conf(config.build())
    }

    /// Creates a Secrets Manager client.
    #[must_use]
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        let config = in_process_config!(aws_sdk_secretsmanager, self, "http://secrets.embedded");
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }

    /// The credentials for signing requests over a socket.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(ACCESS_KEY, self.signing_secret.as_str(), None, None, "embedded")
    }
}

/// An HTTP client for the SDK without a socket.
#[derive(Clone)]
struct InProcess(AwsEmulator);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let embedded = self.0.clone();
        HttpConnectorFuture::new(async move {
            match request.headers().get("x-amz-target").map(str::to_owned) {
                Some(target) => {
                    let body = request.body().bytes().unwrap_or_default().to_vec();
                    json(router::json_service(&embedded, ACCESS_KEY, &target, body).await)
                }
                None => s3(&embedded, request).await,
            }
        })
    }
}

fn json((status, body): dynamodb::Answer) -> Result<HttpResponse, ConnectorError> {
    let status = status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

async fn s3(embedded: &AwsEmulator, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::other(error, None);
    let request = request.try_into_http1x().map_err(|error| failed(Box::new(error)))?;
    let mut request = request.map(s3s::Body::http_body_unsync);
    // The SDK signs the host, and leaves setting the header to hyper, which isn't used here.
    if let Some(host) = request.uri().authority().and_then(|a| a.as_str().parse().ok()) {
        request.headers_mut().entry("host").or_insert(host);
    }
    let response = embedded.s3.call(request).await.map_err(|error| failed(format!("{error:?}").into()))?;
    HttpResponse::try_from(response.map(SdkBody::from_body_1_x)).map_err(|error| failed(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use crate::AwsEmulator;

    #[tokio::test]
    async fn clients_have_no_timeouts_and_no_retries() {
        let folder = tempfile::tempdir().unwrap();
        let embedded = AwsEmulator::open(folder.path(), "bucket").unwrap();
        macro_rules! check {
            ($($client:expr),*) => {$(
                let client = $client;
                let config = client.config();
                let stalled = config.stalled_stream_protection().unwrap();
                assert!(!stalled.upload_enabled() && !stalled.download_enabled(), "{stalled:?}");
                assert!(!config.timeout_config().unwrap().has_timeouts());
                assert_eq!(config.retry_config().unwrap().max_attempts(), 1);
            )*};
        }
        check!(embedded.dynamodb(), embedded.s3("http://s3.embedded"), embedded.secrets(), embedded.kms());
    }
}
