//! `hearth key`: stored keys, the planted-secret search over everything that a run has left, and the master key.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;

use hearth_tests::{Home, Reply, Setup, Upstream, hearth, run};
use serde_json::json;

use crate::{command, fails, json as parse, succeeds};

const KEY: &str = "planted-0123456789-key";

fn answer() -> Reply {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": "Hi."}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ])
}

/// The files below the gateway's folder that have the planted text.
fn planted_files(home: &Home) -> Vec<String> {
    let (mut folders, mut found) = (vec![home.folder().to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path)
                && bytes.windows(7).any(|window| window == b"planted")
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn stored_keys_are_set_listed_checked_and_removed_and_are_in_no_file() {
    let vendor = Upstream::start().await;
    vendor.page("/v1/models", Reply::json(200, &json!({"data": [{"id": "big"}]})));
    let home = Setup::new()
        .settings("log_level = 'trace'\n[keys]\nprivate_addresses = true\n")
        .without_node()
        .start()
        .await;
    let hearth = async |arguments: &[&str], input: &str| succeeds(command(&home, arguments), input).await;
    let url = format!("{}/v1", vendor.url);
    let set = ["key", "set", "mine", "--user", "--base-url", &url, "--json"];
    let own = parse(&hearth(&set, &format!("{KEY}\n")).await);
    let id = own["provider_keys"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(own["provider_keys"][0]["hint"], "…-key");
    hearth(&["key", "set", "shared", "--organisation", "--base-url", &url], KEY).await;
    hearth(&["key", "set", "groq"], KEY).await;

    let listed = hearth(&["key", "list", "--user"], "").await;
    assert!(
        listed.contains(&id) && listed.contains("endpoint_key") && !listed.contains("planted"),
        "{listed}"
    );
    let providers = hearth(&["key", "list"], "").await;
    for (provider, payer) in [("mine", "user"), ("shared", "organisation"), ("groq", "operator")] {
        let line = providers.lines().find(|line| line.starts_with(provider)).unwrap_or_default();
        assert!(line.contains(payer), "{providers}");
    }
    let checked = hearth(&["key", "verify", &id], "").await;
    assert!(checked.contains("accepts it, and lists 1 models"), "{checked}");
    let models = hearth(&["models", "list", "--provider", "mine"], "").await;
    assert!(models.contains("mine:big"), "{models}");
    vendor.reply(answer());
    let asked = hearth(&["chat", "--model", "mine:big"], "Hi\n").await;
    assert!(asked.contains("Hi."), "{asked}");
    assert_eq!(vendor.received().pop().unwrap().headers["authorization"], format!("Bearer {KEY}"));

    vendor.page("/v1/models", Reply::json(401, &json!({"error": {"message": format!("bad key {KEY}")}})));
    let set = ["key", "set", "bad", "--user", "--base-url", &url, "--json"];
    let keys = parse(&hearth(&set, &format!("{KEY}\n")).await);
    let keys = keys["provider_keys"].as_array().unwrap();
    let bad = keys.iter().find(|key| key["provider"] == "bad").unwrap()["id"].as_str().unwrap();
    let refused = fails(command(&home, &["key", "verify", bad])).await;
    assert!(refused.stderr.contains("refused") && !refused.stderr.contains("planted"), "{}", refused.stderr);
    let of_user = fails(command(&home, &["key", "set", "groq", "--name", "x"])).await;
    assert!(of_user.stderr.contains("--user"), "{}", of_user.stderr);
    assert_eq!(planted_files(&home), Vec::<String>::new());
    hearth(&["key", "remove", &id], "").await;
    hearth(&["key", "remove", bad], "").await;
    hearth(&["key", "remove", "groq"], "").await;
    assert!(hearth(&["key", "list", "--user", "--json"], "").await.contains("[]"));
    home.stop().await;
}

/// Without the permission the command fails before it reads a key: its standard input is empty here.
#[tokio::test]
async fn missing_permission_is_an_error_before_the_key_is_read() {
    let home = Home::start_without_node().await;
    let reader = json!({"name": "reader", "scopes": ["models:read", "organisation"]});
    let token = home.client().post("/v1/users/tokens", &reader).await.json();
    let token = token["token"].as_str().unwrap();
    let team = ["team", "create", "platform"];
    succeeds(command(&home, &team), "").await;
    for owner in [&[][..], &["--user"], &["--organisation"], &["--team", "platform"]] {
        let arguments = [&["key", "set", "groq"], owner].concat();
        let mut set = command(&home, &arguments);
        set.env("HEARTH_TOKEN", token);
        let refused = fails(set).await;
        assert!(refused.stderr.contains("forbidden"), "{owner:?}: {}", refused.stderr);
        let empty = fails(command(&home, &arguments)).await;
        assert!(empty.stderr.contains("the key is empty"), "{owner:?}: {}", empty.stderr);
    }
    home.stop().await;
}

#[tokio::test]
async fn master_key_is_rotated_and_its_loss_has_a_way_out() {
    let home = Home::start_without_node().await;
    succeeds(command(&home, &["key", "set", "groq"]), KEY).await;
    let data = home.data();
    let flag = data.to_str().unwrap().to_owned();
    let in_use = fails(hearth(home.folder(), &["key", "rotate-master", "--data", &flag])).await;
    assert!(in_use.stderr.contains("in use"), "{}", in_use.stderr);
    let rotate = ["key", "rotate-master", "--data", &flag, "--json"];
    let (home, rotated) =
        home.restart_after_command(async |folder| run(hearth(folder, &rotate), "").await).await;
    assert!(rotated.status.success(), "{rotated:?}");
    assert!(parse(&rotated.stdout)["wrapped"].as_u64().unwrap() >= 2, "{}", rotated.stdout);
    let listed = succeeds(command(&home, &["key", "list"]), "").await;
    assert!(listed.contains("groq"), "{listed}");
    let stopped = home.stop().await;
    let folder = stopped.path();
    fs::remove_file(data.join("master-key")).unwrap();
    let asked = run(hearth(folder, &["key", "reset", "--data", &flag]), "").await;
    assert!(!asked.status.success() && asked.stderr.contains("--yes"), "{asked:?}");
    let reset = run(hearth(folder, &["key", "reset", "--yes", "--data", &flag, "--json"]), "").await;
    assert!(reset.status.success(), "{reset:?}");
    assert!(parse(&reset.stdout)["removed"].as_u64().unwrap() >= 2, "{}", reset.stdout);
}
