//! The step that a command suggests after what it has created.

use std::fs;

use hearth_tests::{Home, run};

use super::{command, json};

/// A prefix of each line with a next step.
const NEXT: &str = "next: ";

#[tokio::test]
async fn commands_that_create_something_suggest_the_next_step() {
    let home = Home::start_without_node().await;
    let write = |name: &str, text: &str| {
        let path = home.folder().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let notes = write("notes.txt", "Tea 2.50");
    let schema = write("receipt.json", r#"{"type": "object", "properties": {"shop": {"type": "string"}}}"#);
    let template =
        write("summary.json", r#"{"messages": [{"role": "user", "content": "Sum up: {{text}}"}]}"#);
    let routing = write("routing.toml", "[aliases]\nfast = ['tiny-chat']\n");
    let other_routing = write("other.toml", "[aliases]\nfast = ['other']\n");
    let base =
        format!("give it to a program as its API key, with the base URL {0}/v1 (OpenAI) or {0}", home.url);
    let webhook = "webhook create https://example.com/hook --event run.*";
    let cases = [
        ("token create editor".to_owned(), base.as_str()),
        ("access-key create kiosk --model tiny-chat".to_owned(), &base),
        (webhook.to_owned(), "hearth webhook test wh_"),
        (format!("files upload {notes}"), "hearth files get file-"),
        (format!("schema create {schema}"), "hearth analyze --schema receipt TEXT"),
        (format!("template create {template}"), "hearth template render summary --var NAME=VALUE"),
        (format!("config push {routing}"), "hearth config history"),
    ];
    for (line, step) in cases {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ended = run(command(&home, &arguments), "").await;
        assert!(ended.status.success(), "{line}: {ended:?}");
        assert!(ended.stderr.contains(&format!("{NEXT}{step}")), "{line}: {ended:?}");
        // On standard error: a script reads from the output what was created.
        assert!(!ended.stdout.is_empty() && !ended.stdout.contains(NEXT), "{line}: {ended:?}");
    }
    // A program that reads JSON gets no step.
    for line in [
        "token create other --json".to_owned(),
        "access-key create other --model tiny-chat --json".to_owned(),
        format!("{webhook} --json"),
        format!("files upload {notes} --json"),
        format!("schema create {schema} --name other --json"),
        format!("template create {template} --name other --json"),
        format!("config push {other_routing} --json"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ended = run(command(&home, &arguments), "").await;
        assert!(ended.status.success(), "{line}: {ended:?}");
        assert!(json(&ended.stdout).is_object() && !ended.stderr.contains(NEXT), "{line}: {ended:?}");
    }
    home.stop().await;
}
