//! `hearth node`: a code, an enrolment, and the management of nodes.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use hearth_tests::{Home, Process, Setup, eventually, hearth, run};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{command, fails, json, succeeds};

/// A command on the node's machine, which has no token.
fn on_the_box(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = hearth(folder, arguments);
    command.arg("--data").arg(folder.join("data"));
    command
}

/// The words of the command that `hearth node code` prints, without the program.
async fn enrolment(home: &Home, arguments: &[&str]) -> Vec<String> {
    let printed = succeeds(command(home, &[&["node", "code"], arguments].concat()), "").await;
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let words: Vec<String> = printed.split_whitespace().map(str::to_owned).collect();
    assert_eq!((words[0].as_str(), words.len()), ("hearth", 5), "{printed}");
    words[1..].to_vec()
}

#[tokio::test]
async fn box_is_enrolled_by_the_printed_command_and_managed_by_its_name() {
    let home = Setup::new().arguments(&["--no-node"]).start().await;
    let machine = TempDir::new().unwrap();
    let words = enrolment(&home, &["--name", "cellar"]).await;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let enrolled = succeeds(on_the_box(machine.path(), &words), "").await;
    assert!(enrolled.contains("This machine is cellar, the node node_"), "{enrolled}");
    let identity = machine.path().join("data/node-identity.json");
    assert_eq!(std::fs::metadata(&identity).unwrap().permissions().mode() & 0o777, 0o600);

    let hearth = async |arguments: &[&str]| succeeds(command(&home, arguments), "").await;
    let list = json(&hearth(&["node", "list", "--json"]).await);
    let id = list["nodes"][0]["id"].as_str().unwrap_or_default().to_owned();
    assert!(enrolled.contains(&id), "{enrolled}");
    let list = hearth(&["node", "list"]).await;
    assert!(list.contains("cellar") && list.contains("offline") && list.contains("relay"), "{list}");
    assert!(hearth(&["node", "rename", "cellar", "attic"]).await.contains("attic"));
    let shared = hearth(&["node", "share", "attic", "--organisation"]).await;
    assert!(shared.contains("every member"), "{shared}");
    assert!(hearth(&["node", "share", "attic", "--nobody"]).await.contains("nobody else"));
    assert!(fails(command(&home, &["node", "share", "attic"])).await.stderr.contains("--nobody"));
    hearth(&["node", "drain", "attic"]).await;
    assert_eq!(json(&hearth(&["node", "status", &id, "--json"]).await)["draining"], true);
    hearth(&["node", "drain", "attic", "--off"]).await;
    let status = hearth(&["node", "status", "attic"]).await;
    assert!(status.contains(&id) && status.contains("reached by"), "{status}");
    assert!(hearth(&["node", "revoke", "attic"]).await.contains("revoked"));
    assert!(fails(command(&home, &["node", "status", "attic"])).await.stderr.contains("no node"));
    home.stop().await;
}

#[tokio::test]
async fn enrolment_is_replaced_only_if_asked_and_a_used_code_is_refused() {
    let home = Setup::new().arguments(&["--no-node"]).start().await;
    let machine = TempDir::new().unwrap();
    let first = enrolment(&home, &[]).await;
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let enrolled = json(&succeeds(on_the_box(machine.path(), &[&first[..], &["--json"]].concat()), "").await);
    let again = fails(on_the_box(machine.path(), &first)).await.stderr;
    assert!(again.contains("enrolled already") && again.contains("--replace"), "{again}");
    let used = fails(on_the_box(machine.path(), &[&first[..], &["--replace"]].concat())).await.stderr;
    assert!(used.contains("code isn't valid"), "{used}");

    // From standard input the code is in no process list.
    let second = enrolment(&home, &[]).await;
    let arguments = ["node", "enroll", &second[2], "-", "--replace", "--json"];
    let replaced = succeeds(on_the_box(machine.path(), &arguments), &format!("{}\n", second[3])).await;
    let replaced = json(&replaced);
    assert_eq!(replaced["replaced"], enrolled["node"]);
    assert_ne!(replaced["node"], enrolled["node"]);
    home.stop().await;
}

#[tokio::test]
async fn service_of_a_node_is_printed_and_needs_an_enrolment() {
    let machine = TempDir::new().unwrap();
    let unit = succeeds(hearth(machine.path(), &["node", "install", "--print"]), "").await;
    assert!(unit.contains(" node run") && unit.contains("[Service]"), "{unit}");
    assert!(!unit.contains("--data"), "{unit}");
    let refused = fails(hearth(machine.path(), &["node", "install"])).await.stderr;
    assert!(refused.contains("hearth node enroll"), "{refused}");

    // A service has neither this shell's variables nor its folder.
    let data = machine.path().join("other");
    let mut by_variable = hearth(machine.path(), &["node", "install", "--print"]);
    by_variable.env("HEARTH_DATA", &data);
    let mut by_flag = hearth(machine.path(), &["node", "install", "--print", "--data", "other"]);
    by_flag.current_dir(machine.path());
    for command in [by_variable, by_flag] {
        let ended = run(command, "").await;
        assert!(ended.stdout.contains(&format!("node run --data {}\n", data.display())), "{ended:?}");
        assert!(ended.stderr.contains("isn't enrolled"), "{ended:?}");
    }
    let refused = fails(hearth(machine.path(), &["node", "install", "--data", "other"])).await.stderr;
    assert!(refused.contains("hearth node enroll GATEWAY CODE --data /"), "{refused}");
    let refused = fails(on_the_box(machine.path(), &["node", "run"])).await.stderr;
    assert!(refused.contains("isn't enrolled"), "{refused}");
}

#[tokio::test]
async fn data_folder_serves_one_gateway_or_one_node() {
    let home = Setup::new().arguments(&["--no-node"]).start().await;
    let machine = TempDir::new().unwrap();
    let words = enrolment(&home, &["--name", "cellar"]).await;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for arguments in [&words[..], &["node", "run"]] {
        let mut in_gateway_folder = hearth(home.folder(), arguments);
        in_gateway_folder.arg("--data").arg(home.data());
        let refused = fails(in_gateway_folder).await.stderr;
        assert!(refused.contains("in use by another hearth"), "{refused}");
    }
    succeeds(on_the_box(machine.path(), &words), "").await;
    succeeds(command(&home, &["node", "revoke", "cellar"]), "").await;

    let run_json = on_the_box(machine.path(), &["node", "run", "--json"]);
    let mut node = Process::spawn(run_json, machine.path().join("node.log"));
    assert_eq!(node.ready().await["connected"], false);
    let says_what_to_do = async || node.stderr().contains("--replace").then_some(());
    eventually("the advice to a revoked node", says_what_to_do).await;
    let words = enrolment(&home, &[]).await;
    let again: Vec<&str> = words.iter().map(String::as_str).chain(["--replace"]).collect();
    for arguments in [&["node", "run"][..], &again] {
        let refused = fails(on_the_box(machine.path(), arguments)).await.stderr;
        assert!(refused.contains("in use by another hearth"), "{refused}");
    }
    node.stop().await;
    let replaced = run(on_the_box(machine.path(), &again), "").await;
    assert!(
        replaced.status.success() && replaced.stderr.contains("if the gateway still lists it"),
        "{replaced:?}"
    );
    home.stop().await;
}

#[tokio::test]
async fn wrong_address_of_an_enrolment_is_told_without_the_code() {
    let machine = TempDir::new().unwrap();
    let (gone, code) = ("http://127.0.0.1:9", "hnode_0123456789secret");
    let refused = fails(on_the_box(machine.path(), &["node", "enroll", gone, code])).await.stderr;
    assert!(refused.contains("check the address") && !refused.contains("--url"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
    for swapped in [[code, gone], [code, "ai.example.org"], ["0123456789secret", gone]] {
        let arguments = ["node", "enroll", swapped[0], swapped[1]];
        let refused = fails(on_the_box(machine.path(), &arguments)).await.stderr;
        assert!(refused.contains("are swapped") && !refused.contains("secret"), "{refused}");
    }
}
