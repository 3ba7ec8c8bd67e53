//! `hearth user` and `hearth invite`.

use hearth_tests::{Home, hearth, run};
use tokio::process::Command;

use crate::{command, fails, json, succeeds};

const PASSWORD: &str = "a sentence of mine";

/// A command without a token.
fn anonymous(home: &Home, arguments: &[&str]) -> Command {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", "");
    command
}

#[tokio::test]
async fn owner_signs_in_and_invites_a_member_who_registers() {
    let home = Home::start_without_node().await;
    let owner = ["user", "create", "owner@example.org", "--owner", "--name", "Owner", "--json"];
    let owner = json(&succeeds(command(&home, &owner), &format!("{PASSWORD}\n")).await);
    assert_eq!(owner["has_password"], true, "{owner}");

    let create = ["invite", "create", "--role", "developer", "--email", "ada@example.org"];
    let code = succeeds(command(&home, &create), "").await;
    let code = code.trim();
    assert!(code.starts_with("hinv_"), "{code}");
    let list = succeeds(command(&home, &["invite", "list"]), "").await;
    assert!(list.contains("ada@example.org") && !list.contains(code), "{list}");

    let accept = ["invite", "accept", "-", "--register", "--email", "ada@example.org", "--json"];
    let ada = json(&succeeds(anonymous(&home, &accept), &format!("{code}\n{PASSWORD}\n")).await);
    assert_eq!(ada["memberships"][0]["role"], "developer", "{ada}");
    let ended = run(anonymous(&home, &accept), &format!("{code}\n{PASSWORD}\n")).await;
    assert!(!ended.status.success() && ended.stderr.contains("code"), "{ended:?}");
    assert!(!ended.stderr.contains(PASSWORD) && !ended.stderr.contains(code), "{ended:?}");

    let both = format!("{PASSWORD}\na new sentence of mine\n");
    succeeds(command(&home, &["user", "password"]), &both).await;

    let users = succeeds(command(&home, &["user", "list"]), "").await;
    assert!(users.contains("ada@example.org") && users.contains("owner@example.org"), "{users}");
    let id = ada["id"].as_str().unwrap();
    let shown = succeeds(command(&home, &["user", "show", id]), "").await;
    assert!(shown.contains("ada@example.org") && shown.contains("developer of"), "{shown}");
    let own = succeeds(command(&home, &["user", "show"]), "").await;
    assert!(own.contains("owner@example.org"), "{own}");

    succeeds(command(&home, &["user", "disable", id]), "").await;
    let shown = succeeds(command(&home, &["user", "show", id]), "").await;
    assert!(shown.contains("disabled"), "{shown}");
    succeeds(command(&home, &["user", "enable", id]), "").await;
    let reset = succeeds(command(&home, &["user", "reset-password", id]), "").await;
    assert!(reset.starts_with("hreset_"), "{reset}");
    let set = ["user", "password", "--code", reset.trim()];
    succeeds(anonymous(&home, &set), "another sentence of mine").await;
    let file = home.folder().join("mine.zip");
    let export = ["user", "export", file.to_str().unwrap()];
    let exported = succeeds(command(&home, &export), "").await;
    assert!(exported.contains("mine.zip") && file.metadata().unwrap().len() > 100, "{exported}");
    let ended = fails(command(&home, &export)).await;
    assert!(ended.stderr.contains("can't be created"), "{}", ended.stderr);

    let ended = fails(command(&home, &["user", "erase", id])).await;
    assert!(ended.stderr.contains("--yes"), "{}", ended.stderr);
    let erased = succeeds(command(&home, &["user", "erase", id, "--yes"]), "").await;
    assert!(erased.contains("/v1/users/erasures/ers_"), "{erased}");
    home.stop().await;
}

#[tokio::test]
async fn member_is_created_with_a_password_and_an_invitation_is_revoked() {
    let home = Home::start_without_node().await;
    let create = ["user", "create", "bob@example.org", "--role", "viewer", "--json"];
    let bob = json(&succeeds(command(&home, &create), PASSWORD).await);
    assert_eq!((&bob["name"], &bob["memberships"][0]["role"]), (&"bob".into(), &"viewer".into()), "{bob}");
    let ended = run(command(&home, &create), PASSWORD).await;
    assert!(!ended.status.success() && ended.stderr.contains("exists"), "{ended:?}");

    let invite = json(&succeeds(command(&home, &["invite", "create", "--json"]), "").await);
    let id = invite["id"].as_str().unwrap();
    succeeds(command(&home, &["invite", "revoke", id]), "").await;
    let ended = fails(command(&home, &["invite", "revoke", id])).await;
    assert!(ended.stderr.contains("no open invitation"), "{}", ended.stderr);
    let ended = fails(command(&home, &["user", "bootstrap"])).await;
    assert!(ended.stderr.contains("--table"), "{}", ended.stderr);
    home.stop().await;
}

#[tokio::test]
async fn code_that_is_made_on_the_data_folder_is_in_the_audit_log() {
    let home = Home::start_without_node().await;
    let create = ["user", "create", "bob@example.org", "--role", "viewer", "--json"];
    let bob = json(&succeeds(command(&home, &create), PASSWORD).await);
    let id = bob["id"].as_str().unwrap();
    let (home, code) = home
        .restart_after_command(async |data| {
            let reset = ["user", "reset-password", id, "--data", data.to_str().unwrap()];
            succeeds(hearth(data.parent().unwrap(), &reset), "").await
        })
        .await;
    assert!(code.starts_with("hreset_"), "{code}");
    let listed = succeeds(command(&home, &["audit", "list", "--json"]), "").await;
    assert!(listed.contains("hearth user reset-password") && listed.contains(id), "{listed}");
    home.stop().await;
}
