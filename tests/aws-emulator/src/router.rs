//! The services over a socket.

use axum::{
    Router,
    body::Bytes,
    error_handling::HandleError,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
};

use crate::{
    AwsEmulator,
    dynamodb::{self, Answer},
    iam, kms,
};

impl AwsEmulator {
    /// The routes of S3 for the objects of `bucket`. s3s reads a form before it checks the signature, so serve them on the
    /// loopback address only.
    pub(crate) fn object_routes(&self, bucket: &str) -> Router {
        let failed = |error: s3s::HttpError| async move {
            tracing::error!(?error, "the emulated S3 failed");
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let service = HandleError::new(self.s3.clone(), failed);
        // `route_service` rather than `nest_service`: the path is signed and must stay whole.
        Router::new()
            .route_service(&format!("/{bucket}"), service.clone())
            // The SDK addresses the bucket itself with a slash at the end.
            .route_service(&format!("/{bucket}/"), service.clone())
            .route_service(&format!("/{bucket}/{{*key}}"), service)
    }

    /// The routes of every service: for the `AWS_ENDPOINT_URL` of another process. DynamoDB, Secrets Manager, KMS and SQS check what the
    /// access key of a request may do, but not its signature, so serve them on the loopback address only.
    pub fn router(&self, bucket: &str) -> Router {
        Router::new().route("/", post(json_route)).with_state(self.clone()).merge(self.object_routes(bucket))
    }
}

async fn json_route(State(embedded): State<AwsEmulator>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (status, body) = json_service(&embedded, iam::access_key(&headers), target, body.to_vec()).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}

/// Answers a request of the JSON protocol, whose `x-amz-target` names service and operation.
pub(crate) async fn json_service(
    embedded: &AwsEmulator,
    access_key: &str,
    target: &str,
    body: Vec<u8>,
) -> Answer {
    match target.split_once('.') {
        Some(("secretsmanager", operation)) => {
            match embedded.iam.check_secrets(access_key, operation, &body) {
                Ok(()) => embedded.secrets.answer(operation, &body),
                Err(refusal) => (400, refusal.to_json()),
            }
        }
        Some(("TrentService", operation)) => match embedded.iam.check_kms(access_key, operation, &body) {
            Ok(()) => kms::answer(&embedded.signing_secret, operation, &body),
            Err(refusal) => (400, refusal.to_json()),
        },
        Some(("AmazonSQS", operation)) => match embedded.iam.check_sqs(access_key, operation, &body) {
            Ok(()) => embedded.queues.answer(operation, &body),
            Err(refusal) => (400, refusal.to_json()),
        },
        Some((_, operation)) => dynamodb::answer(embedded, access_key, operation, body).await,
        None => (400, br#"{"__type":"UnknownOperationException"}"#.to_vec()),
    }
}
