//! `hearth login`, `logout`, `whoami` and `signing-key`.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use hearth_tests::{Home, hearth, run};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{command as with_token, fails, json as parse, succeeds};

const PASSWORD: &str = "a long sentence of mine, yes";

/// A gateway with a user who has a password.
async fn home_of_ada() -> Home {
    let home = Home::start_without_node().await;
    let user = json!({"email": "ada@example.org", "name": "Ada", "password": PASSWORD, "role": "developer"});
    assert_eq!(home.client().post("/v1/users", &user).await.status, 201);
    home
}

/// A command without a token.
fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url);
    command
}

/// The files of logins.
fn login_files(home: &Home) -> Vec<PathBuf> {
    let folder = home.folder().join(".config/hearth/logins");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
}

#[tokio::test]
async fn commands_use_the_login_until_logout() {
    let home = home_of_ada().await;
    let sign_in = || {
        let mut command = hearth(home.folder(), &["login", &home.url, "--email", "ada@example.org"]);
        command.env_remove("HEARTH_URL");
        command
    };
    let ended = run(sign_in(), &format!("{PASSWORD}\n")).await;
    assert!(ended.stdout.contains(&format!("signed in to {}", home.url)), "{ended:?}");
    assert!(ended.stderr.contains(&format!("next: export HEARTH_URL={}", home.url)), "{ended:?}");
    let files = login_files(&home);
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);

    let printed = succeeds(command(&home, &["whoami"]), "").await;
    assert!(printed.contains("ada@example.org") && printed.contains("developer"), "{printed}");
    let models = succeeds(command(&home, &["models", "list"]), "").await;
    assert!(models.contains(&home.model), "{models}");
    // A token goes before the login.
    let owner = parse(&succeeds(with_token(&home, &["whoami", "--json"]), "").await);
    let ada = parse(&succeeds(command(&home, &["whoami", "--json"]), "").await);
    assert_ne!(owner["id"], ada["id"]);

    succeeds(command(&home, &["logout"]), "").await;
    assert_eq!(login_files(&home), Vec::<PathBuf>::new());
    let ended = fails(command(&home, &["whoami"])).await;
    assert!(ended.stderr.contains("hearth login"), "{}", ended.stderr);
    home.stop().await;
}

#[tokio::test]
async fn concurrent_commands_refresh_an_expired_login_once() {
    let home = home_of_ada().await;
    succeeds(command(&home, &["login", "--email", "ada@example.org"]), PASSWORD).await;
    let file = login_files(&home).remove(0);
    let read = || -> Value { parse(&fs::read_to_string(&file).unwrap()) };
    for _ in 0..3 {
        let mut saved = read();
        let before = saved["refresh_token"].clone();
        saved["access_expires_at"] = 0.into();
        fs::write(&file, saved.to_string()).unwrap();
        let commands = (0..8).map(|_| run(command(&home, &["whoami"]), ""));
        for ended in futures::future::join_all(commands).await {
            assert!(ended.status.success(), "{ended:?}");
        }
        assert_ne!(read()["refresh_token"], before);
    }
    home.stop().await;
}

#[tokio::test]
async fn wrong_password_and_an_ended_login_are_errors_with_advice() {
    let home = home_of_ada().await;
    let ended = run(command(&home, &["login", "--email", "ada@example.org"]), "wrong password").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the address or the password is wrong"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hint"), "{}", ended.stderr);
    assert!(!format!("{ended:?}").contains("wrong password\n"), "{ended:?}");
    assert_eq!(login_files(&home), Vec::<PathBuf>::new());

    succeeds(command(&home, &["login", "--email", "ada@example.org"]), PASSWORD).await;
    // Ended from another machine.
    let elsewhere = home.folder().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let there = |arguments: &[&str]| {
        let mut command = hearth(&elsewhere, arguments);
        command.env("HEARTH_URL", &home.url);
        command
    };
    succeeds(there(&["login", "--email", "ada@example.org"]), PASSWORD).await;
    succeeds(there(&["logout", "--everywhere"]), "").await;
    let ended = fails(command(&home, &["whoami"])).await;
    assert!(ended.stderr.contains("the login has ended"), "{}", ended.stderr);
    home.stop().await;
}

#[tokio::test]
async fn login_outlives_the_revocation_of_the_signing_key() {
    let home = home_of_ada().await;
    succeeds(command(&home, &["login", "--email", "ada@example.org"]), PASSWORD).await;
    succeeds(with_token(&home, &["signing-key", "rotate", "--revoke"]), "").await;
    let printed = succeeds(command(&home, &["whoami"]), "").await;
    assert!(printed.contains("ada@example.org"), "{printed}");
    home.stop().await;
}

#[tokio::test]
async fn logout_removes_a_login_that_is_damaged_or_has_ended() {
    let home = home_of_ada().await;
    let sign_in = || command(&home, &["login", "--email", "ada@example.org"]);
    succeeds(sign_in(), PASSWORD).await;
    fs::write(&login_files(&home)[0], "{").unwrap();
    let ended = run(command(&home, &["logout"]), "").await;
    assert!(ended.status.success() && ended.stdout.contains("removed from this machine"), "{ended:?}");
    assert_eq!(login_files(&home), Vec::<PathBuf>::new());

    succeeds(sign_in(), PASSWORD).await;
    let saved = fs::read(&login_files(&home)[0]).unwrap();
    // Another sign-in ends the login of before.
    succeeds(sign_in(), PASSWORD).await;
    fs::write(&login_files(&home)[0], saved).unwrap();
    let ended = run(command(&home, &["logout"]), "").await;
    assert!(ended.status.success() && ended.stdout.contains("removed from this machine"), "{ended:?}");
    assert_eq!(login_files(&home), Vec::<PathBuf>::new());
    home.stop().await;
}

#[tokio::test]
async fn commands_of_the_machine_go_on_after_a_login_has_ended() {
    let home = home_of_ada().await;
    succeeds(command(&home, &["login", "--email", "ada@example.org"]), PASSWORD).await;
    fs::write(&login_files(&home)[0], "{").unwrap();
    let mut whoami = command(&home, &["whoami"]);
    whoami.env("HEARTH_DATA", home.folder().join("data"));
    let ended = run(whoami, "").await;
    assert!(ended.status.success() && !ended.stdout.contains("ada@example.org"), "{ended:?}");
    assert!(ended.stderr.contains("damaged") && ended.stderr.contains("operator"), "{ended:?}");
    home.stop().await;
}

#[tokio::test]
async fn signing_key_is_listed_and_rotated() {
    let home = home_of_ada().await;
    succeeds(command(&home, &["login", "--email", "ada@example.org"]), PASSWORD).await;
    let keys = |printed: &str| parse(printed)["keys"].as_array().unwrap().len();
    assert_eq!(keys(&succeeds(with_token(&home, &["signing-key", "list", "--json"]), "").await), 1);
    assert_eq!(keys(&succeeds(with_token(&home, &["signing-key", "rotate", "--json"]), "").await), 2);
    let table = succeeds(with_token(&home, &["signing-key", "list"]), "").await;
    assert!(table.contains("signing") && table.contains("verifying"), "{table}");
    // The login of before goes on, and may not rotate.
    succeeds(command(&home, &["whoami"]), "").await;
    let ended = fails(command(&home, &["signing-key", "rotate"])).await;
    assert!(ended.stderr.contains("forbidden"), "{}", ended.stderr);

    // On the data folder, while the gateway is stopped.
    let folder = home.stop().await;
    let data = folder.path().join("data");
    let offline = |arguments: &[&str]| {
        let arguments = [&["signing-key"], arguments, &["--json", "--data", data.to_str().unwrap()]].concat();
        hearth(folder.path(), &arguments)
    };
    assert_eq!(keys(&succeeds(offline(&["rotate"]), "").await), 3);
    assert_eq!(keys(&succeeds(offline(&["rotate", "--revoke"]), "").await), 1);
    assert_eq!(keys(&succeeds(offline(&["list"]), "").await), 1);
}
