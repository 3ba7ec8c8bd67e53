//! The commands, called as by a user or a script.

#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/logins.rs"]
mod logins;
#[path = "cli/next_steps.rs"]
mod next_steps;
#[path = "cli/nodes.rs"]
mod nodes;
#[path = "cli/organisations.rs"]
mod organisations;
#[path = "cli/people.rs"]
mod people;
#[path = "cli/registry.rs"]
mod registry;
#[path = "cli/requests.rs"]
mod requests;
#[path = "cli/typed_key.rs"]
mod typed_key;

use hearth_tests::{Ended, Home, Setup, hearth, run};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const QUESTION: &str = "What is the capital of France?";

/// A command with the gateway's address and the owner's token.
fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    command
}

async fn succeeds(command: Command, input: &str) -> String {
    let ended = run(command, input).await;
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

async fn fails(command: Command) -> Ended {
    let ended = run(command, "").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "", "an error belongs on standard error");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn version_and_completions_are_printed() {
    let folder = TempDir::new().unwrap();
    let version = succeeds(hearth(folder.path(), &["--version"]), "").await;
    assert_eq!(version.trim(), concat!("hearth ", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeds(hearth(folder.path(), &["completions", shell]), "").await;
        assert!(script.contains("hearth") && script.contains("generate"), "{shell}: {script}");
    }
}

#[tokio::test]
async fn settings_are_printed_without_secrets() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["config"][..], &["config", "show"]] {
        let mut command = hearth(folder.path(), arguments);
        command.env("HEARTH_TOKEN", "hth_0123456789secret").env("HEARTH_URL", "http://gateway.example:1234");
        let ended = run(command, "").await;
        assert!(ended.status.success() && !ended.stdout.is_empty(), "{ended:?}");
        assert!(!format!("{ended:?}").contains("0123456789secret"), "{ended:?}");
        // The same as JSON.
        command = hearth(folder.path(), arguments);
        command.arg("--json").env("HEARTH_TOKEN", "hth_0123456789secret").env("HEARTH_PORT", "1234");
        let settings = succeeds(command, "").await;
        assert!(!settings.contains("0123456789secret"), "{settings}");
        assert_eq!(json(&settings)["port"], 1234);
    }
}

#[tokio::test]
async fn generate_prints_text_or_json() {
    let home = Home::start().await;
    let text = succeeds(command(&home, &["generate", "--temperature", "0", QUESTION]), "").await;
    assert!(text.contains("Paris") && text.ends_with('\n'), "{text:?}");
    let whole = succeeds(command(&home, &["generate", "--temperature", "0", "--json", QUESTION]), "").await;
    let whole = json(&whole);
    assert_eq!(whole["output"]["text"].as_str().unwrap().trim_end(), text.trim_end());
    assert_eq!(whole["model"], home.model.as_str());
    let piped = succeeds(command(&home, &["generate", "--temperature", "0"]), QUESTION).await;
    assert_eq!(piped, text);
    home.stop().await;
}

#[tokio::test]
async fn chat_reads_turns_from_a_pipe() {
    let home = Home::start().await;
    let turns = "My name is Ada.\nWhat is my name?\n";
    let answers = succeeds(command(&home, &["chat", "--temperature", "0"]), turns).await;
    assert_eq!(answers.lines().count(), 2, "{answers}");
    assert!(answers.lines().nth(1).unwrap().contains("Ada"), "{answers}");
    home.stop().await;
}

#[tokio::test]
async fn models_are_listed_as_table_or_json() {
    let home = Home::start().await;
    let table = succeeds(command(&home, &["models", "list"]), "").await;
    assert!(table.lines().any(|line| line.starts_with(&home.model)), "{table}");
    let list = json(&succeeds(command(&home, &["models", "list", "--json"]), "").await);
    let models = list["models"].as_array().or(list.as_array()).unwrap();
    assert!(models.iter().any(|model| model["id"] == home.model.as_str()), "{models:?}");
    home.stop().await;
}

#[tokio::test]
async fn tokens_are_created_listed_and_revoked() {
    let home = Home::start().await;
    let created = json(&succeeds(command(&home, &["token", "create", "laptop", "--json"]), "").await);
    let (token, id) = (created["token"].as_str().unwrap(), created["id"].as_str().unwrap());
    let with_token = || {
        let mut command = command(&home, &["models", "list"]);
        command.env("HEARTH_TOKEN", token);
        command
    };
    succeeds(with_token(), "").await;
    let list = succeeds(command(&home, &["token", "list"]), "").await;
    assert!(list.contains("laptop") && list.contains(id) && !list.contains(token), "{list}");
    succeeds(command(&home, &["token", "revoke", id]), "").await;
    fails(with_token()).await;
    home.stop().await;
}

#[tokio::test]
async fn new_token_is_printed_with_its_scopes() {
    let home = Home::start_without_node().await;
    for (arguments, scopes) in [
        (&["token", "create", "laptop"][..], "with the scopes generate, models:read is shown"),
        (&["token", "create", "reader", "--scope", "models:read"][..], "with the scope models:read is shown"),
    ] {
        let created = run(command(&home, arguments), "").await;
        assert!(created.status.success() && created.stdout.starts_with("hth_"), "{created:?}");
        assert!(created.stderr.contains(scopes), "{created:?}");
    }
    let mut all = hearth(home.folder(), &["token", "create", "all"]);
    let (data, folder) = (home.data(), home.stop().await);
    all.arg("--data").arg(&data);
    let created = run(all, "").await;
    assert!(created.stderr.contains("with every scope is shown"), "{created:?}");
    drop(folder);
}

#[tokio::test]
async fn token_of_the_machines_commands_stays_while_the_gateway_runs() {
    let home = Home::start_without_node().await;
    let on_machine = |arguments: &[&str]| {
        let mut command = hearth(home.folder(), arguments);
        command.env("HEARTH_DATA", home.data());
        command
    };
    let list = json(&succeeds(on_machine(&["token", "list", "--json"]), "").await);
    let tokens = list["tokens"].as_array().unwrap();
    let own = tokens.iter().find(|token| token["name"] == "commands on this machine").unwrap();
    let id = own["id"].as_str().unwrap();
    for arguments in
        [&["token", "rotate", id][..], &["token", "revoke", id], &["token", "rename", id, "mine"]]
    {
        let refused = fails(on_machine(arguments)).await;
        assert!(refused.stderr.contains("restart `hearth up`"), "{refused:?}");
        // Another token of the operator can't do it either.
        fails(command(&home, arguments)).await;
    }
    let after = json(&succeeds(on_machine(&["token", "list", "--json"]), "").await);
    let own = after["tokens"].as_array().unwrap().iter().find(|token| token["id"] == id).unwrap();
    assert_eq!((&own["revoked_at"], &own["rotated_at"]), (&Value::Null, &Value::Null), "{own}");
    home.stop().await;
}

#[tokio::test]
async fn error_has_the_request_id_and_advice() {
    let home = Home::start().await;
    let mut wrong = command(&home, &["generate", QUESTION]);
    wrong.env("HEARTH_TOKEN", "hth_wrong");
    let ended = fails(wrong).await;
    assert!(ended.stderr.contains("unauthorized") && ended.stderr.contains("req_"), "{}", ended.stderr);

    let ended = fails(command(&home, &["generate", "--model", "no-such-model", QUESTION])).await;
    assert!(ended.stderr.contains("model_not_found") && ended.stderr.contains("req_"), "{}", ended.stderr);
    let url = home.url.clone();
    let folder = home.stop().await;
    let mut gone = hearth(folder.path(), &["generate", QUESTION]);
    gone.env("HEARTH_URL", &url).env("HEARTH_TOKEN", "hth_any");
    let ended = fails(gone).await;
    assert!(ended.stderr.contains(&url) && ended.stderr.contains("hearth up"), "{}", ended.stderr);
}

#[tokio::test]
async fn error_is_json_for_programs() {
    let home = Home::start().await;
    let error = |ended: &Ended| json(&ended.stderr)["error"].clone();
    let missing = fails(command(&home, &["models", "info", "nothing", "--json"])).await;
    assert_eq!(error(&missing)["code"], "model_not_found", "{missing:?}");
    let mut away = hearth(home.folder(), &["models", "list", "--json"]);
    away.env("HEARTH_URL", "http://127.0.0.1:9");
    let away = fails(away).await;
    assert_eq!(error(&away)["code"], "command_failed", "{away:?}");
    let usage = run(command(&home, &["batch", "results", "--json"]), "").await;
    assert_eq!((usage.status.code(), &error(&usage)["code"]), (Some(2), &"usage".into()), "{usage:?}");
    let text = run(command(&home, &["batch", "results"]), "").await;
    assert_eq!(text.status.code(), Some(2));
    // The variables are set, and are no part of the usage.
    assert!(text.stderr.starts_with("error: ") && !text.stderr.contains("--url"), "{text:?}");
    home.stop().await;
}

#[tokio::test]
async fn chat_checks_model_and_token_before_the_first_message() {
    let home = Home::start().await;
    let mut chat = command(&home, &["chat", "--model", "no-such-model"]);
    let ended = fails(std::mem::replace(&mut chat, hearth(home.folder(), &["chat"]))).await;
    assert!(ended.stderr.contains("model_not_found"), "{}", ended.stderr);
    chat.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", "hth_wrong");
    let ended = fails(chat).await;
    assert!(ended.stderr.contains("unauthorized"), "{}", ended.stderr);
    home.stop().await;
}

#[tokio::test]
async fn models_are_described_and_removed() {
    let home = Setup::new().models(&["second", "third"]).start().await;
    let data = home.data();
    let data = data.to_str().unwrap();
    let info = succeeds(command(&home, &["models", "info", "second", "--data", data]), "").await;
    for words in ["second\n", "Q8_0", "4096 tokens", "parameters", "second.gguf"] {
        assert!(info.contains(words), "{words:?} in {info}");
    }
    let info = json(&succeeds(command(&home, &["models", "info", "second", "--json"]), "").await);
    assert_eq!(info["model"]["id"], "second", "{info}");
    let ended = fails(command(&home, &["models", "remove", "second"])).await;
    assert!(ended.stderr.contains("--yes"), "{}", ended.stderr);
    let removed = succeeds(command(&home, &["models", "remove", "second", "--yes"]), "").await;
    assert!(removed.contains("removed second") && !home.model_file("second").exists(), "{removed}");
    let ended = fails(command(&home, &["models", "remove", &home.model, "--yes"])).await;
    assert!(ended.stderr.contains("default model"), "{}", ended.stderr);
    // Without a gateway, on the folder itself.
    let data = data.to_owned();
    let folder = home.stop().await;
    let alone = |arguments: &[&str]| hearth(folder.path(), &[arguments, &["--data", &data]].concat());
    let info = succeeds(alone(&["models", "info", "third"]), "").await;
    assert!(info.contains("third.gguf") && info.contains("4096 tokens"), "{info}");
    let ended = fails(alone(&["models", "remove", "thrid", "--yes"])).await;
    assert!(ended.stderr.contains("did you mean third?"), "{}", ended.stderr);
    let removed = json(&succeeds(alone(&["models", "remove", "third", "--yes", "--json"]), "").await);
    assert_eq!((&removed["removed"], &removed["link"]), (&Value::Bool(true), &Value::Bool(false)));
}

#[tokio::test]
async fn service_is_printed_and_refused_without_systemd() {
    let folder = TempDir::new().unwrap();
    let unit = succeeds(hearth(folder.path(), &["service", "print", "--system"]), "").await;
    assert!(
        unit.contains("ExecStart=/") && unit.contains("up --quiet") && unit.contains("DynamicUser"),
        "{unit}"
    );
    if !std::path::Path::new("/run/systemd/system").exists() {
        let ended = fails(hearth(folder.path(), &["service", "install"])).await;
        assert!(ended.stderr.contains("systemd doesn't run this machine"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn configuration_is_pushed_compared_pulled_and_restored() {
    let home = Home::start().await;
    let file = |name: &str, text: &str| {
        let path = home.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let config =
        async |arguments: &[&str]| succeeds(command(&home, &[&["config"], arguments].concat()), "").await;
    assert_eq!(config(&["pull"]).await, "");
    let first =
        file("first.toml", "[aliases]\nfast = ['tiny-chat']\n\n[models.'openai:x.y']\ncontext_length = 7\n");
    let second = file("second.json", r#"{"aliases": {"fast": ["tiny-chat", "groq:llama"]}}"#);

    let pushed = config(&["push", &first, "--message", "the first"]).await;
    assert!(pushed.contains("version 1"), "{pushed}");
    assert_eq!(json(&config(&["pull", "--json"]).await)["aliases"]["fast"], serde_json::json!(["tiny-chat"]));
    let changes = config(&["diff", &second]).await;
    assert_eq!(
        changes,
        "- aliases.fast = [\"tiny-chat\"]\n\
         + aliases.fast = [\"tiny-chat\",\"groq:llama\"]\n\
         - models.\"openai:x.y\".context_length = 7\n"
    );
    let stored = json(&config(&["push", "--json", &second]).await);
    assert_eq!((&stored["version"], &stored["version_in_force"]), (&2.into(), &2.into()), "{stored}");

    // What is pulled can be pushed: it is the same.
    let pulled = file("pulled.toml", &config(&["pull"]).await);
    assert_eq!(config(&["diff", &pulled]).await, "");
    assert_eq!(json(&config(&["push", "--json", &pulled]).await)["version"], 2);
    let of_first = file("of_first.toml", &config(&["pull", "1"]).await);
    assert_eq!(config(&["diff", "--against", "1", &of_first]).await, "");

    let restored = config(&["restore", "1"]).await;
    assert!(restored.contains("version 3"), "{restored}");
    assert_eq!(config(&["diff", &first]).await, "");
    let history = config(&["history"]).await;
    let rows: Vec<&str> = history.lines().collect();
    assert!(
        rows.len() == 4 && rows[1].starts_with("3 ") && rows[1].ends_with("restores version 1"),
        "{history}"
    );
    assert!(rows[3].starts_with("1 ") && rows[3].ends_with("the first"), "{history}");
    home.stop().await;
}

#[tokio::test]
async fn invalid_or_outdated_configuration_is_not_pushed() {
    let home = Home::start().await;
    let path = home.folder().join("routing.toml");
    let push = async |text: &str, more: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let arguments = [&["config", "push", path.to_str().unwrap()], more].concat();
        run(command(&home, &arguments), "").await
    };
    for (text, words) in [
        ("[aliases]\n\nfast = []\n", "routing.toml, line 3: aliases.fast"),
        ("[aliases]\nfast = ['fast']\n", "routing.toml, line 2: aliases.fast: it stands for itself"),
        ("[providers.azure]\n", "routing.toml, line 1: providers.azure.base_url"),
        ("[providers.openai]\napi_key = 'sk-secret'\n", "hearth key set openai"),
        ("port = 1\n", "setting of one process"),
    ] {
        let ended = push(text, &[]).await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains(words) && !ended.stderr.contains("sk-secret"), "{ended:?}");
    }
    let valid = "[aliases]\nfast = 'tiny-chat'\n";
    assert!(push(valid, &["--based-on", "0"]).await.status.success());
    let outdated = push("[aliases]\nother = 'tiny-chat'\n", &["--based-on", "0"]).await;
    assert!(!outdated.status.success() && outdated.stderr.contains("version 1 by now"), "{outdated:?}");
    let from_input =
        succeeds(command(&home, &["config", "push", "-"]), "[fallbacks]\nfast = ['tiny-chat']\n").await;
    assert!(from_input.contains("version 2"), "{from_input}");
    let missing = fails(command(&home, &["config", "push", "missing.toml"])).await;
    assert!(missing.stderr.contains("missing.toml can't be read"), "{missing:?}");
    let empty = push("[aliases]\n", &[]).await;
    assert!(!empty.status.success() && empty.stderr.contains("hearth config restore"), "{empty:?}");
    let unknown = push("[aliases]\nx = ['nosuch:x']\n", &[]).await;
    assert!(unknown.status.success() && unknown.stderr.contains("no provider \"nosuch\""), "{unknown:?}");
    let emptied = push("", &["--empty"]).await;
    assert!(emptied.status.success() && emptied.stdout.contains("version 4"), "{emptied:?}");
    let unlisted = fails(command(&home, &["config", "restore", "99"])).await;
    assert!(unlisted.stderr.contains("`hearth config history`"), "{unlisted:?}");
    home.stop().await;
}

#[tokio::test]
async fn export_of_a_stopped_gateway_is_imported_into_a_new_folder() {
    let home = Home::start().await;
    succeeds(command(&home, &["token", "create", "laptop"]), "").await;
    let data = home.data();
    let (data, new) = (data.to_str().unwrap().to_owned(), home.folder().join("new"));
    let (new, file) = (new.to_str().unwrap().to_owned(), home.folder().join("export.jsonl"));
    let file = file.to_str().unwrap().to_owned();
    let ended = fails(command(&home, &["export", "--data", &data])).await;
    assert!(ended.stderr.contains("hearth") && ended.stderr.contains(&data), "{}", ended.stderr);
    let folder = home.stop().await;
    let alone = |arguments: &[&str]| hearth(folder.path(), arguments);
    // A folder without a database is none of a gateway, and stays as it is.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let ended = fails(alone(&["export", "--data", empty.to_str().unwrap(), "--out", &file])).await;
    assert!(ended.stderr.contains("empty is no data folder"), "{}", ended.stderr);
    assert!(std::fs::read_dir(&empty).unwrap().next().is_none() && !std::path::Path::new(&file).exists());
    let counts = succeeds(alone(&["export", "--data", &data, "--out", &file, "--json"]), "").await;
    let ended = fails(alone(&["export", "--data", &data, "--out", &file])).await;
    assert!(ended.stderr.contains("export.jsonl exists already"), "{}", ended.stderr);
    let imported = json(&succeeds(alone(&["import", &file, "--data", &new, "--json"]), "").await);
    assert_eq!(imported["items"], json(&counts)["items"], "{imported}");
    let list = succeeds(alone(&["token", "list", "--data", &new]), "").await;
    assert!(list.contains("laptop"), "{list}");
    let ended = fails(alone(&["import", &file, "--data", &data])).await;
    assert!(ended.stderr.contains("--merge"), "{}", ended.stderr);
    let export = std::fs::read(&file).unwrap();
    let mut flipped = export.clone();
    flipped[export.len() / 2] ^= 1;
    let (newest, damaged) = (format!("{new}est"), format!("{file}.damaged"));
    for (bytes, words) in
        [(&export[..0], "is empty"), (&export[..export.len() - 9], "cut off"), (&flipped, "line")]
    {
        std::fs::write(&damaged, bytes).unwrap();
        let ended = fails(alone(&["import", &damaged, "--data", &newest])).await;
        assert!(
            ended.stderr.contains(words) && ended.stderr.contains("use another copy of the file"),
            "{}",
            ended.stderr
        );
    }
    succeeds(alone(&["import", &file, "--data", &newest]), "").await;
    let ended = fails(alone(&["export", "--data", &format!("{new}er")])).await;
    assert!(ended.stderr.contains("--data"), "{}", ended.stderr);
}
