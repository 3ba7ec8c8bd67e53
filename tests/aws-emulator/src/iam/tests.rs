//! Roles, seen through the SDK's clients.

use aws_sdk_dynamodb::{
    config::{BehaviorVersion, Credentials, Region},
    error::ProvideErrorMetadata,
    types::AttributeValue,
};
use aws_sdk_s3::operation::get_object::GetObjectError;
use serde_json::json;

use crate::{AwsEmulator, dynamodb};

const BUCKET: &str = "media";
const ROLE: &str = "AKIAROLE";

struct Served {
    _folder: tempfile::TempDir,
    emulator: AwsEmulator,
    url: String,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = AwsEmulator::open(folder.path(), BUCKET).unwrap();
        let table = json!({
            "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "gpk", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [{
                "IndexName": "owners", "Projection": {"ProjectionType": "ALL"},
                "KeySchema": [{"AttributeName": "gpk", "KeyType": "HASH"}],
            }],
        });
        dynamodb::call(&emulator.db, "CreateTable", &table).unwrap();
        let secret = json!({"Name": "keys", "SecretString": "{}"}).to_string();
        assert_eq!(emulator.secrets.answer("CreateSecret", secret.as_bytes()).0, 200);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = emulator.router(BUCKET);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { _folder: folder, emulator, url }
    }

    fn allow(&self, statements: &serde_json::Value) {
        self.emulator.add_role(ROLE, &[json!({"Statement": statements})]).unwrap();
    }
}

/// A client over the socket, with an access key and the emulator's secret key.
macro_rules! client {
    ($sdk:ident, $served:expr, $access_key:expr, $config:ident => $last:expr) => {{
        let secret = $served.emulator.credentials().secret_access_key().to_owned();
        let $config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new($access_key, secret, None, None, "test"))
            .endpoint_url(&$served.url)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        $sdk::Client::from_conf($last.build())
    }};
}

fn key(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[tokio::test]
async fn role_reads_only_its_partitions() {
    let served = Served::start().await;
    served.allow(&json!([
        {"Effect": "Allow", "Action": ["dynamodb:PutItem", "dynamodb:GetItem"],
         "Resource": AwsEmulator::table_arn("things"),
         "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["A#*"]}}},
        {"Sid": "Index", "Effect": "Allow", "Action": "dynamodb:Query",
         "Resource": format!("{}/index/owners", AwsEmulator::table_arn("things")),
         "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["OWNER#*"]}}},
    ]));
    let client = client!(aws_sdk_dynamodb, served, ROLE, config => config);
    let get = |pk: &str| client.get_item().table_name("things").key("pk", key(pk)).send();
    let query = |pk: &str| {
        let call =
            client.query().table_name("things").index_name("owners").key_condition_expression("gpk = :k");
        call.expression_attribute_values(":k", key(pk)).send()
    };
    client
        .put_item()
        .table_name("things")
        .item("pk", key("A#1"))
        .item("gpk", key("OWNER#1"))
        .send()
        .await
        .unwrap();
    assert!(get("A#1").await.unwrap().item.is_some());
    assert_eq!(query("OWNER#1").await.unwrap().count(), 1);
    let denied = get("B#1").await.unwrap_err();
    assert_eq!(denied.code(), Some("AccessDeniedException"));
    assert_eq!(query("OTHER#1").await.unwrap_err().code(), Some("AccessDeniedException"));
    let scan = client.scan().table_name("things").send().await;
    assert_eq!(scan.unwrap_err().code(), Some("AccessDeniedException"));
    let denied = served.emulator.denied_calls();
    assert_eq!(denied.len(), 3, "{denied:?}");
    assert!(denied[0].ends_with(r#"table/things dynamodb:LeadingKeys ["B#1"]"#), "{denied:?}");
    assert_eq!(served.emulator.unused_permissions(), Vec::<String>::new());
}

#[tokio::test]
async fn unknown_access_key_is_refused() {
    let served = Served::start().await;
    let client = client!(aws_sdk_dynamodb, served, "AKIAOTHER", config => config);
    let error = client.describe_table().table_name("things").send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnrecognizedClientException"));
    let s3 = client!(aws_sdk_s3, served, "AKIAOTHER", config => config.force_path_style(true));
    let error = s3.get_object().bucket(BUCKET).key("a").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAccessKeyId"));
}

#[tokio::test]
async fn missing_object_is_shown_only_to_who_may_list() {
    let served = Served::start().await;
    let (bucket, objects) =
        (AwsEmulator::bucket_arn(BUCKET), format!("{}/runs/*", AwsEmulator::bucket_arn(BUCKET)));
    let read = json!({"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": objects});
    served.allow(&json!([read]));
    let client = client!(aws_sdk_s3, served, ROLE, config => config.force_path_style(true));
    let get = |key: &str| client.get_object().bucket(BUCKET).key(key).send();
    client.put_object().bucket(BUCKET).key("runs/1").body(vec![1].into()).send().await.unwrap();
    get("runs/1").await.unwrap();
    for key in ["runs/2", "other/1"] {
        assert_eq!(get(key).await.unwrap_err().code(), Some("AccessDenied"), "{key}");
    }
    assert!(client.head_bucket().bucket(BUCKET).send().await.is_err());

    served.allow(&json!([read, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket}]));
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    let missing = get("runs/2").await.unwrap_err();
    assert!(missing.as_service_error().is_some_and(GetObjectError::is_no_such_key), "{missing:?}");
    assert_eq!(get("other/1").await.unwrap_err().code(), Some("AccessDenied"));
}

#[tokio::test]
async fn secret_is_read_by_its_arn() {
    let served = Served::start().await;
    let arn = AwsEmulator::secret_arn("keys");
    served.allow(&json!([{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}]));
    let client = client!(aws_sdk_secretsmanager, served, ROLE, config => config);
    for id in ["keys", arn.as_str()] {
        let secret = client.get_secret_value().secret_id(id).send().await.unwrap();
        assert_eq!((secret.name(), secret.arn()), (Some("keys"), Some(arn.as_str())));
    }
    let put = client.put_secret_value().secret_id("keys").secret_string("x").send().await.unwrap_err();
    assert_eq!(put.code(), Some("AccessDeniedException"));
    assert_eq!(
        client.describe_secret().secret_id("x").send().await.unwrap_err().code(),
        Some("AccessDeniedException")
    );
}
