//! Minimal and broken systems: Hearth starts and answers, or ends with an error that names the missing part.
//!
//! Systems without a part are namespaces of the test (`unshare`), for which the system may want root: elsewhere these tests
//! print that they are skipped.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path};

use hearth_store::{
    database::{Condition, Durability, Item, Key, Write},
    home,
};
use hearth_tests::{Ended, Process, binary, hearth, hearth_under, in_namespaces, is_root, run, skip};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// `hearth up` on a free port with its data in `folder`. Results of the self-test are copied from other tests, if any.
fn up(folder: &Path) -> Command {
    up_under(&[], folder)
}

/// The same, started by another program.
fn up_under(program: &[String], folder: &Path) -> Command {
    let data = folder.join("data");
    if fs::create_dir_all(&data).is_ok() {
        let _ = fs::copy(hearth_tests::backend_results(), data.join("backends.json"));
    }
    hearth_under(folder, program, &["up", "--json", "--port", "0", "--data", &data.to_string_lossy()])
}

/// Starts the command, and generates an answer with tiny-chat.
async fn starts_and_answers(command: Command, folder: &Path) {
    let mut process = Process::spawn(command, folder.join("stderr.log"));
    let ready = process.ready().await;
    let text = |name: &str| ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {ready}"));
    let (url, token) = (text("url"), text("token"));
    let answer = hearth_tests::Client::new(url, Some(token)).ask("What is the capital of France?").await;
    assert!(answer.contains("Paris"), "{answer}");
    process.stop().await;
}

async fn fails(command: Command) -> Ended {
    let ended = run(command, "").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

async fn succeeds(command: Command) -> String {
    let ended = run(command, "").await;
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

#[tokio::test]
async fn starts_without_home_locale_and_terminal() {
    let folder = TempDir::new().unwrap();
    let mut command = up(folder.path());
    command.env_remove("HOME").env("TERM", "dumb").env("LC_ALL", "xx_YY.nonsense");
    starts_and_answers(command, folder.path()).await;
}

#[tokio::test]
async fn data_folder_replaces_a_missing_temporary_folder() {
    let folder = TempDir::new().unwrap();
    let mut command = up(folder.path());
    // The self-test needs a temporary folder.
    let _ = fs::remove_file(folder.path().join("data/backends.json"));
    command.env("TMPDIR", folder.path().join("missing"));
    starts_and_answers(command, folder.path()).await;
}

#[tokio::test]
async fn starts_with_closed_standard_streams() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    // The address is in the file for this machine's commands.
    let mut command = Command::new("sh");
    let program = binary("hearth");
    command.args(["-c", "exec \"$0\" up --port 0 --data \"$1\" <&- >&- 2>&-"]).arg(program).arg(&data);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let file = data.join("commands.json");
    let access: Value = hearth_tests::eventually("the commands' access", async || {
        serde_json::from_slice(&fs::read(&file).ok()?).ok()
    })
    .await;
    let client = hearth_tests::Client::new(access["url"].as_str().unwrap(), access["token"].as_str());
    assert!(client.ask("What is the capital of France?").await.contains("Paris"));
    child.kill().await.unwrap();
}

#[tokio::test]
async fn commands_are_authorised_as_soon_as_the_gateway_answers() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = hearth(folder.path(), &["up", "--quiet", "--data"]);
    command.arg(&data).args(["--port", &port.to_string()]).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let client = hearth_tests::Client::new(&format!("http://127.0.0.1:{port}"), None);
    let health = async || client.request(Method::GET, "/health").send().await.ok();
    hearth_tests::eventually("the gateway", health).await;
    let mut list = hearth(folder.path(), &["models", "list", "--data"]);
    list.arg(&data);
    let listed = run(list, "").await;
    assert!(listed.status.success() && listed.stdout.contains("tiny-chat"), "{}", listed.stderr);
    child.kill().await.unwrap();
}

/// The words before a command that start it without the capability to write everywhere, which root has.
fn without_capabilities() -> Vec<String> {
    let program: &[&str] =
        if is_root() { &["setpriv", "--bounding-set=-all", "--inh-caps=-all"] } else { &[] };
    program.iter().map(|&word| word.to_owned()).collect()
}

#[tokio::test]
async fn read_only_folder_is_named() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let program = without_capabilities();
    let data = folder.path().join("data");
    let arguments = ["up", "--json", "--port", "0", "--data", data.to_str().unwrap()];
    let ended = fails(hearth_under(folder.path(), &program, &arguments)).await;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("data").display().to_string();
    assert!(ended.stderr.contains(&path) && ended.stderr.contains("can't be written"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("Permission denied").count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn read_only_file_or_folder_of_a_used_data_folder_is_named() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let up = || {
        let arguments = ["up", "--no-node", "--json", "--port", "0", "--data", data.to_str().unwrap()];
        hearth_under(folder.path(), &without_capabilities(), &arguments)
    };
    let mut process = Process::spawn(up(), folder.path().join("stderr.log"));
    process.ready().await;
    process.stop().await;
    for (name, mode) in [("store.db", 0o400), ("", 0o500)] {
        let path = data.join(name);
        let (before, content) = (fs::metadata(&path).unwrap().permissions(), fs::read(data.join("store.db")));
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let ended = fails(up()).await;
        fs::set_permissions(&path, before).unwrap();
        for part in [&*data.to_string_lossy(), "give the data folder, and the files in it, to the user"] {
            assert!(ended.stderr.contains(part), "no {part} with {name:?}: {}", ended.stderr);
        }
        assert_eq!(fs::read(data.join("store.db")).unwrap(), content.unwrap(), "{name:?}");
    }
    let mut process = Process::spawn(up(), folder.path().join("stderr.log"));
    process.ready().await;
    process.stop().await;
}

#[tokio::test]
async fn low_limit_of_open_files_is_named() {
    let folder = TempDir::new().unwrap();
    // They fail at the database, at its readers, and at the secrets.
    for limit in ["12", "16", "18"] {
        let limited = ["sh", "-c", "ulimit -n \"$0\" && exec \"$@\"", limit].map(str::to_owned);
        let ended = fails(up_under(&limited, folder.path())).await;
        for part in [&format!("{limit} files and sockets"), "open files", "ulimit -n"] {
            assert!(ended.stderr.contains(part), "no {part}: {ended:?}");
        }
        assert!(!ended.stderr.contains("supports this processor"), "{ended:?}");
        assert!(!ended.stderr.contains("to the user that runs hearth"), "{ended:?}");
    }
}

#[tokio::test]
async fn starts_without_proc() {
    let Some(program) = in_namespaces(&["--mount"], "mount -t tmpfs none /proc").await else { return };
    let folder = TempDir::new().unwrap();
    // Without `/proc`, the loader doesn't know the folder of the program.
    let libraries = binary("hearth").parent().unwrap().to_owned();
    let mut command = up_under(&program, folder.path());
    command.env("LD_LIBRARY_PATH", &libraries);
    starts_and_answers(command, folder.path()).await;
    let mut doctor = hearth_under(folder.path(), &program, &["doctor", "--port", "0"]);
    doctor.env("LD_LIBRARY_PATH", &libraries);
    let report = succeeds(doctor).await;
    assert!(report.contains("warning  proc       /proc isn't mounted"), "{report}");
}

#[tokio::test]
async fn starts_on_a_read_only_root() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().display();
    // The data folder is a mount of its own, and stays writable.
    let script = format!(
        "mount --bind '{path}' '{path}' && mount -o remount,bind,ro / \
         && {{ ! mountpoint -q /tmp || mount -o remount,bind,ro /tmp; }} && ! touch /tmp/file 2>&-"
    );
    let Some(program) = in_namespaces(&["--mount"], &script).await else { return };
    let command = up_under(&program, folder.path());
    // The self-test needs a folder for temporary files.
    fs::remove_file(folder.path().join("data/backends.json")).unwrap_or_default();
    starts_and_answers(command, folder.path()).await;
}

#[tokio::test]
async fn serves_over_ipv6_alone() {
    let script = "ip link set lo up && ip address delete 127.0.0.1/8 dev lo";
    let Some(program) = in_namespaces(&["--net"], script).await else { return };
    for host in [None, Some("::1"), Some("::")] {
        let folder = TempDir::new().unwrap();
        let mut command = up_under(&program, folder.path());
        let Some(host) = host else {
            let ended = fails(command).await;
            assert!(ended.stderr.contains("--host, such as ::1"), "{}", ended.stderr);
            continue;
        };
        command.args(["--host", host]);
        let mut process = Process::spawn(command, folder.path().join("stderr.log"));
        let ready = process.ready().await;
        let text = |name: &str| ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {ready}"));
        // Commands in the same namespace.
        let pid = process.pid().to_string();
        let user: &[&str] = if is_root() { &[] } else { &["--user", "--preserve-credentials"] };
        let enter = [&["nsenter", "--target", &pid, "--net"], user].concat();
        let enter: Vec<String> = enter.into_iter().map(str::to_owned).collect();
        let mut generate =
            hearth_under(folder.path(), &enter, &["generate", "What is the capital of France?"]);
        generate.env("HEARTH_URL", text("url")).env("HEARTH_TOKEN", text("token"));
        assert!(succeeds(generate).await.contains("Paris"), "{host}");
        let mut list = hearth_under(folder.path(), &enter, &["models", "list", "--data"]);
        list.arg(folder.path().join("data"));
        assert!(succeeds(list).await.contains("tiny-chat"), "{host}");
        process.stop().await;
    }
}

#[tokio::test]
async fn starts_with_a_wrong_clock() {
    // The program with which Debian's package `faketime` sets the clock of another one; its library is what does it.
    let mut command = Command::new("faketime");
    command.args(["-f", "@2000-01-01 00:00:00", "sh", "-c", "echo $LD_PRELOAD"]);
    let Ok(output) = command.output().await else { return skip("there is no program `faketime`") };
    let library = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    for date in ["@1970-06-01 00:00:00", "@2096-06-01 00:00:00"] {
        let folder = TempDir::new().unwrap();
        let at_date = |mut command: Command| {
            command.env("LD_PRELOAD", &library).env("FAKETIME", date);
            // Durations stay right, as they do on a machine whose clock is wrong.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
            command
        };
        starts_and_answers(at_date(up(folder.path())), folder.path()).await;
        let report = succeeds(at_date(hearth(folder.path(), &["doctor", "--port", "0"]))).await;
        let year = &date[1..5];
        assert!(report.contains(&format!("warning  clock      the clock is in the year {year}")), "{report}");
    }
}

#[tokio::test]
async fn address_of_another_machine_is_refused_with_advice() {
    let folder = TempDir::new().unwrap();
    let mut command = up(folder.path());
    command.args(["--host", "192.0.2.1"]);
    let ended = fails(command).await;
    assert!(ended.stderr.contains("192.0.2.1 is no address of this machine"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--host"), "{}", ended.stderr);
}

#[tokio::test]
async fn only_https_fails_without_certificates() {
    let folder = TempDir::new().unwrap();
    let none = folder.path().join("none.pem");
    fs::write(&none, "").unwrap();
    let without = |mut command: Command| {
        command.env("SSL_CERT_FILE", &none).env("SSL_CERT_DIR", folder.path().join("none"));
        command
    };
    starts_and_answers(without(up(folder.path())), folder.path()).await;
    let pull = hearth(folder.path(), &["models", "pull", "owner/repo"]);
    let ended = fails(without(pull)).await;
    assert!(ended.stderr.contains("no CA certificates"), "{}", ended.stderr);
}

#[tokio::test]
async fn unknown_variable_is_named() {
    let folder = TempDir::new().unwrap();
    let mut command = hearth(folder.path(), &["config"]);
    command.env("HEARTH_NODE_SLOTS", "2");
    let ended = fails(command).await;
    assert!(ended.stderr.contains("did you mean HEARTH_NODE__SLOTS?"), "{}", ended.stderr);
}

#[tokio::test]
async fn bad_value_in_a_variable_is_named_without_secrets() {
    let folder = TempDir::new().unwrap();
    for (variable, value, words) in [
        ("HEARTH_PORT", "abc", "the variable HEARTH_PORT: invalid type: text, expected an integer"),
        ("HEARTH_NODE__SLOTS", "-1", "the variable HEARTH_NODE__SLOTS: invalid type"),
        ("HEARTH_NODE__SLOTS", "0", "the variable HEARTH_NODE__SLOTS: node.slots must be 1 to 256, and is 0"),
        ("HEARTH_CACHE__ENABLED", "maybe", "the variable HEARTH_CACHE__ENABLED: invalid type: text"),
        (
            "HEARTH_PROVIDERS__RIG__KIND",
            "opnai",
            "HEARTH_PROVIDERS__RIG__KIND: providers.rig.kind: \"opnai\" isn't a kind",
        ),
        (
            "HEARTH_PROVIDERS__OPENAI__BASE_URL",
            "10.0.0.2/v1",
            "BASE_URL: providers.openai.base_url: it has no scheme",
        ),
        ("HEARTH_PROVIDERS__OPENAI__BSE_URL", "http://x", "did you mean HEARTH_PROVIDERS__OPENAI__BASE_URL?"),
        (
            "HEARTH_PROVIDERS__OPENAI__MAX_TOKENS",
            "0",
            "MAX_TOKENS: providers.openai.max_tokens: it must be at least 1",
        ),
        (
            "HEARTH_PROVIDERS__OPENAI",
            "sk-planted",
            "the variable HEARTH_PROVIDERS__OPENAI: invalid type: text, expected a table",
        ),
        (
            "HEARTH_PROVIDERS__OPENAI__API_KEY__X",
            "sk-planted",
            "the variable HEARTH_PROVIDERS__OPENAI__API_KEY__X: ",
        ),
        ("HEARTH_PROVIDERS", r#"{"openai": {"api_key": ["sk-planted"]}}"#, "the variable HEARTH_PROVIDERS: "),
        ("HEARTH_PROVIDERS", r#"{"openai": {"api_key": "sk-planted"#, "it is not valid JSON"),
    ] {
        let mut command = hearth(folder.path(), &["up", "--port", "0"]);
        command.env(variable, value);
        let ended = fails(command).await;
        assert!(ended.stderr.contains(words), "{variable}={value}: {}", ended.stderr);
        assert!(!ended.stderr.contains("planted"), "{variable}={value}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn closed_output_is_no_error() {
    let folder = TempDir::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = hearth(folder.path(), &["config"]).stdout(writer).status().await.unwrap();
    // The status that a shell has for a program ended by SIGPIPE; a panic would be 101.
    assert_eq!(status.code(), Some(141));
}

#[tokio::test]
async fn data_folder_of_an_interrupted_import_is_refused_until_the_import_is_repeated() {
    let folder = TempDir::new().unwrap();
    let alone = |arguments: &[&str]| hearth(folder.path(), arguments);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, file, new) = (path("data"), path("export.jsonl"), path("new"));
    succeeds(alone(&["token", "create", "old", "--data", &data])).await;
    succeeds(alone(&["export", "--data", &data, "--out", &file])).await;
    let header = fs::read_to_string(&file).unwrap();
    let header: Value = serde_json::from_str(header.lines().next().unwrap()).unwrap();
    // The store right after the import has begun.
    let mark = Item {
        key: Key::new("IMPORT", "META"),
        gsi1: None,
        gsi2: None,
        ttl: None,
        version: 1,
        body: serde_json::json!({"export": header["entry"]["header"]["id"]}).to_string(),
        bytes: None,
    };
    let store = home::open(new.as_ref(), Durability::Fsync).unwrap();
    store.database().write(Write::Put(mark, Condition::Always)).await.unwrap();
    store.close().await;
    drop(store);
    for arguments in [&["up", "--port", "0"][..], &["token", "create", "laptop"]] {
        let mut command = alone(arguments);
        command.args(["--data", &new]);
        let ended = fails(command).await;
        assert!(ended.stderr.contains("repeat `hearth import FILE`"), "{}", ended.stderr);
    }
    succeeds(alone(&["import", &file, "--data", &new])).await;
    let tokens = succeeds(alone(&["token", "list", "--data", &new])).await;
    assert!(tokens.contains("old"), "{tokens}");
}
