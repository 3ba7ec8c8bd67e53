//! Every operation with every kind of credential.

use axum::{Json, Router};
use hearth_tests::{
    Home, Setup,
    permission_matrix::{
        Operation, People, Report, check_allowed, check_denied, check_others_things, operations,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Starts a gateway whose hub of models has none.
async fn start() -> (Home, Vec<Operation>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hub = listener.local_addr().unwrap();
    let router = Router::new().fallback(async || Json::<Value>(json!([])));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let home = Setup::new().settings(&format!("[hub]\nurl = \"http://{hub}\"\n")).start().await;
    let document = home.client().get("/openapi.json").await.json();
    (home, operations(&document))
}

#[tokio::test]
async fn every_operation_refuses_callers_without_its_permission() {
    let (home, operations) = start().await;
    let (home, people) = home.restart_after(async |store| People::create(store).await).await;
    let (client, mut report) = (home.client(), Report::default());
    check_denied(&client, &people, &operations, &mut report).await;
    check_others_things(&client, &people, &operations, &mut report).await;
    report.finish(&format!("{} operations, without the permission", operations.len()));
    home.stop().await;
}

#[tokio::test]
async fn every_operation_admits_callers_with_its_permission() {
    let (home, operations) = start().await;
    let create = async |store: &_| People::create_allowed(store, &operations).await;
    let (home, allowed) = home.restart_after(create).await;
    let (client, mut report) = (home.client(), Report::default());
    check_allowed(&client, &allowed, &operations, &mut report).await;
    report.finish(&format!("{} operations, with the permission", operations.len()));
    home.stop().await;
}
