//! Every operation of the functions, with some of the kinds of credentials.

use hearth_tests::{
    Client, Cloud,
    permission_matrix::{People, Report, check_denied, check_others_things, operations},
};
use lambda_emulator::Placement;

/// Kinds of credentials that are sent to the functions; the suite `api` sends all to `hearth up`.
const SAMPLED: [&str; 7] = [
    "no credential",
    "wrong token",
    "expired token",
    "missing scope",
    "access key",
    "viewer of the operator's organisation",
    "owner of another organisation",
];

#[tokio::test]
async fn operations_of_the_functions_obey_the_table_of_permissions() {
    let cloud = Cloud::start().await;
    let mut people = People::create(cloud.store()).await;
    people.credentials.retain(|credential| SAMPLED.contains(&credential.group.as_str()));
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), None);
    let mut operations = operations(&client.get("/openapi.json").await.json());
    // Sockets have an API of their own, with tests of their own (`sockets.rs`).
    operations.retain(|operation| operation.path != "/v1/socket");
    let mut report = Report::default();
    check_denied(&client, &people, &operations, &mut report).await;
    check_others_things(&client, &people, &operations, &mut report).await;
    report.finish(&format!("{} operations of the functions", operations.len()));
}
