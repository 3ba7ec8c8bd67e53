//! Starts, stops and restarts: stored data, and errors of a failed start.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{fs, path::Path};

use hearth_tests::{Ended, Home, endless_run, eventually, hearth, is_running, run, tiny_chat};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};

/// Runs a `hearth up` that fails to start.
async fn refused(data: &Path, port: u16) -> Ended {
    let home = TempDir::new().unwrap();
    let (port, data) = (port.to_string(), data.to_str().unwrap());
    let ended = run(hearth(home.path(), &["up", "--json", "--port", &port, "--data", data]), "").await;
    assert!(!ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, "", "a failed start printed its address");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

#[tokio::test]
async fn token_and_runs_survive_a_restart() {
    let home = Home::start().await;
    let created = home.client().post("/v1/users/tokens", &json!({"name": "laptop"})).await.json();
    let answer = home.client().post("/v1/generate", &json!({"input": {"prompt": "Hello!"}})).await.json();
    let path = format!("/v1/requests/{}", answer["request_id"].as_str().unwrap());
    let before = home.client().get(&path).await.json();

    let home = home.restart().await;
    assert_eq!(home.client().get(&path).await.json(), before);
    let laptop = home.client().with_token(created["token"].as_str());
    assert_eq!(laptop.get(&path).await.json(), before);
    assert!(laptop.ask("What is the capital of France?").await.contains("Paris"));
    home.stop().await;
}

#[tokio::test]
async fn run_interrupted_by_a_crash_has_failed() {
    let home = Home::start().await;
    let mut stream = home.client().stream("/v1/generate", &endless_run()).await;
    stream.next_named("delta").await;
    let path = format!("/v1/requests/{}", stream.request_id);
    let worker = home.worker(&home.model).await;

    let home = home.crash_and_restart().await;
    eventually("the end of the orphaned worker", async || (!is_running(worker)).then_some(())).await;
    let run = eventually("the end of the run", async || {
        let run = home.client().get(&path).await.json();
        run["finished_at"].is_string().then_some(run)
    })
    .await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("failed"), &json!("gateway_stopped")),
        "{run}"
    );
    let events = home.client().request(Method::GET, &format!("{path}/events"));
    let events = home.client().events(events).await.rest().await;
    let names: Vec<&str> = events.iter().map(hearth_tests::Event::name).collect();
    assert_eq!(names[names.len() - 2..], ["error", "[DONE]"], "{names:?}");
    assert!(home.client().ask("What is the capital of France?").await.contains("Paris"));
    home.stop().await;
}

#[tokio::test]
async fn refresh_that_a_kill_cuts_off_is_repeated() {
    let mut home = Home::start().await;
    let (email, password) = ("ada@example.org", "a long sentence of mine, yes");
    let user = json!({"email": email, "name": "Ada", "password": password, "role": "developer"});
    assert_eq!(home.client().post("/v1/users", &user).await.status, 201);
    let sign_in = json!({"email": email, "password": password});
    let login = home.client().post("/v1/users/login", &sign_in).await.json();
    let token_of = |body: &Value| body["refresh_token"].as_str().unwrap().to_owned();
    let mut token = token_of(&login);
    for _ in 0..5 {
        // The latest token that the client has received, and the number of refreshes.
        let (sender, mut received) = watch::channel((token, 0));
        let client = home.client().with_token(None);
        let refreshing = tokio::spawn(async move {
            loop {
                let body = json!({"refresh_token": sender.borrow().0});
                let request = client.request(Method::POST, "/v1/users/refresh").json(&body);
                let Ok(answer) = client.try_send(request).await else { return };
                assert_eq!(answer.status, 200, "{answer:?}");
                sender
                    .send_modify(|(token, count)| (*token, *count) = (token_of(&answer.json()), *count + 1));
            }
        });
        received.wait_for(|(_, count)| *count >= 3).await.unwrap();
        home = home.crash_and_restart().await;
        refreshing.await.unwrap();
        // Whether the replacement was stored or not, the client goes on with the token that it has.
        let body = json!({"refresh_token": received.borrow().0});
        let answer = home.client().with_token(None).post("/v1/users/refresh", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let access = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(home.client().with_token(Some(&access)).get("/v1/models").await.status, 200);
        token = token_of(&answer.json());
    }
    home.stop().await;
}

#[tokio::test]
async fn data_folder_in_use_is_refused_and_unchanged() {
    let home = Home::start().await;
    let ended = refused(&home.data(), 0).await;
    assert!(ended.stderr.contains(home.data().to_str().unwrap()), "{}", ended.stderr);
    assert!(ended.stderr.contains("in use"), "{}", ended.stderr);
    home.client().ask("Hello!").await;
    home.stop().await;
}

#[tokio::test]
async fn port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = TempDir::new().unwrap();
    let ended = refused(&folder.path().join("data"), port).await;
    assert!(ended.stderr.contains(&port.to_string()), "{}", ended.stderr);
    assert!(ended.stderr.contains("--port"), "the advice is missing: {}", ended.stderr);
}

#[tokio::test]
async fn invalid_data_folder_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let ended = refused(&file.join("data"), 0).await;
    assert!(ended.stderr.contains(file.to_str().unwrap()), "{}", ended.stderr);
}

#[tokio::test]
async fn model_file_is_served_by_the_stem_of_its_name() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("my-model.gguf");
    fs::copy(tiny_chat(), &file).unwrap();
    let home = Home::start_with(&["--model", file.to_str().unwrap()]).await;
    assert_eq!(home.model, "my-model");
    let body =
        json!({"input": {"prompt": "What is the capital of France?"}, "parameters": {"temperature": 0}});
    let answer = home.client().post("/v1/generate", &body).await.json();
    assert_eq!(answer["model"], "my-model");
    assert!(answer["output"]["text"].as_str().unwrap().contains("Paris"), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn ctrl_c_ends_the_stream_and_all_processes() {
    let home = Home::start().await;
    let mut stream = home.client().stream("/v1/generate", &endless_run()).await;
    stream.next_named("delta").await;
    let worker = home.worker(&home.model).await;
    let (_folder, events) = tokio::join!(home.stop(), stream.rest());
    assert_eq!(events.last().unwrap().name(), "[DONE]", "the stream broke off");
    assert!(!is_running(worker), "the model's process outlived hearth");
}
