//! `hearth models register | update | unregister | schema | export | import`.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use hearth_tests::{Home, Setup};
use serde_json::json;
use tempfile::TempDir;

use crate::{command, fails, json, succeeds};

/// Folder of PostgreSQL's versions on Debian.
const POSTGRESQL: &str = "/usr/lib/postgresql";

async fn hearth(home: &Home, arguments: &[&str]) -> String {
    succeeds(command(home, arguments), "").await
}

#[tokio::test]
async fn model_is_registered_changed_and_unregistered() {
    let home = Home::start().await;
    let target = home.model.as_str();
    let arguments =
        ["models", "register", "team/writer", "--target", target, "--max-tokens", "4", "--slots", "2"];
    assert!(hearth(&home, &arguments).await.contains("team/writer is registered"));
    let info = json(&hearth(&home, &["models", "info", "team/writer", "--json"]).await);
    assert_eq!(info["model"]["registration"]["lifecycle"]["slots"], 2, "{info}");
    let info = hearth(&home, &["models", "info", "team/writer"]).await;
    for part in [target, "slots 2", "max_tokens 4"] {
        assert!(info.contains(part), "{part}: {info}");
    }
    hearth(&home, &["models", "update", "team/writer", "--name", "Writer", "--clear", "lifecycle.slots"])
        .await;
    let info = json(&hearth(&home, &["models", "info", "team/writer", "--json"]).await);
    assert_eq!(info["model"]["name"], "Writer", "{info}");
    assert_eq!(info["model"]["registration"]["lifecycle"], json!(null), "{info}");
    hearth(&home, &["models", "unregister", "team/writer"]).await;
    assert!(
        fails(command(&home, &["models", "unregister", "team/writer"])).await.stderr.contains("no model")
    );
    assert!(fails(command(&home, &["models", "unregister", target])).await.stderr.contains("no registered"));
    assert!(fails(command(&home, &["models", "update", "a"])).await.stderr.contains("name a field"));
    home.stop().await;
}

#[tokio::test]
async fn schema_is_edited_and_shown() {
    let home = Home::start().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("schema.json");
    fs::write(&file, r#"{"properties": {"max_tokens": {"maximum": 9}}}"#).unwrap();
    let file = file.display().to_string();
    assert!(hearth(&home, &["models", "schema", &home.model]).await.contains("2020-12"));
    let stored =
        hearth(&home, &["models", "schema", &home.model, "--set", &file, "--message", "short"]).await;
    assert!(stored.contains("version 1"), "{stored}");
    let shown = json(&hearth(&home, &["models", "schema", &home.model]).await);
    assert_eq!(shown["properties"]["max_tokens"]["maximum"], 9);
    hearth(&home, &["models", "schema", &home.model, "--reset"]).await;
    let history = hearth(&home, &["models", "schema", &home.model, "--history"]).await;
    assert!(history.contains("short") && history.lines().count() == 3, "{history}");
    home.stop().await;
}

/// A home with two entries and an edited schema.
async fn with_registry() -> Home {
    let home = Setup::new().models(&["second"]).start().await;
    let client = home.client();
    let entry = json!({
        "id": "team/a", "target": home.model, "description": "it's a \\ and a \"quote\"\nÄ", "fallbacks": ["second"],
    });
    assert_eq!(client.post("/v1/models", &entry).await.status, 201);
    let entry =
        json!({"id": "b", "target": "second", "lifecycle": {"slots": 3}, "parameters": {"temperature": 0.5}});
    assert_eq!(client.post("/v1/models", &entry).await.status, 201);
    let schema =
        json!({"schema": {"properties": {"max_tokens": {"maximum": 9}}}, "guidance": ["it's short"]});
    let put = client.request(reqwest::Method::PUT, "/v1/models/team/a/schema").json(&schema);
    assert_eq!(client.send(put).await.status, 200);
    home
}

#[tokio::test]
async fn export_is_imported_into_another_gateway_and_again() {
    let (home, other) = (with_registry().await, Setup::new().models(&["second"]).start().await);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("registry.jsonl").display().to_string();
    hearth(&home, &["models", "export", "--registered", "--output", &file]).await;
    let dry = json(&hearth(&other, &["models", "import", &file, "--dry-run", "--json"]).await);
    assert_eq!(dry, json!({"entries": 2, "schemas": 1, "dry_run": true}));
    other.client().get("/v1/models/b").await.error(404, "model_not_found");
    let first = json(&hearth(&other, &["models", "import", &file, "--json"]).await);
    assert_eq!(first, json!({"entries": 2, "schemas": 1, "dry_run": false}));
    let again = json(&hearth(&other, &["models", "import", &file, "--json"]).await);
    assert_eq!(again, json!({"entries": 0, "schemas": 0, "dry_run": false}));
    for path in ["/v1/models/team/a", "/v1/models/b"] {
        let (one, two) = (home.client().get(path).await.json(), other.client().get(path).await.json());
        assert_eq!(one["registration"], two["registration"], "{path}");
    }
    let schema = other.client().get("/v1/schema?model=team/a").await.json();
    assert_eq!(schema["guidance"], json!(["it's short"]));
    home.stop().await;
    other.stop().await;
}

/// A PostgreSQL server of the test's own.
struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    /// The user of the server's processes: PostgreSQL refuses to run as root.
    user: Option<u32>,
}

impl Postgres {
    /// Starts one; `None` where it isn't installed.
    fn start() -> Option<Self> {
        let versions = fs::read_dir(POSTGRESQL).ok()?;
        let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
        let programs = programs.filter(|programs| programs.join("initdb").exists()).max()?;
        let folder = TempDir::new().unwrap();
        let user = match folder.path().metadata().unwrap().uid() {
            0 => Some(uid_of("postgres")?),
            _ => None,
        };
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        chown(folder.path(), user, None).unwrap();
        let server = Self { programs, folder, user };
        let data = server.data();
        let settings = format!("-k {} -c listen_addresses= -c fsync=off", server.folder.path().display());
        server.run("initdb", &["-D", &data, "-U", "hearth", "-A", "trust", "-E", "UTF8"]);
        let log = server.folder.path().join("log").display().to_string();
        server.run("pg_ctl", &["start", "-w", "-D", &data, "-l", &log, "-o", &settings]);
        Some(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.folder.path());
        if let Some(user) = self.user {
            command.uid(user);
        }
        command.output().unwrap()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.output(program, arguments);
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn psql(&self, arguments: &[&str]) -> String {
        let host = self.folder.path().display().to_string();
        let always =
            ["-X", "-v", "ON_ERROR_STOP=1", "-h", &host, "-U", "hearth", "-d", "postgres", "-A", "-t"];
        self.run("psql", &[&always[..], arguments].concat())
    }

    fn count(&self, of: &str) -> u64 {
        self.psql(&["-c", &format!("SELECT count(*) FROM {of}")]).trim().parse().unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.output("pg_ctl", &["stop", "-m", "immediate", "-D", &self.data()]));
    }
}

fn uid_of(name: &str) -> Option<u32> {
    let users = fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let user = users.lines().find(|line| line.split(':').next() == Some(name))?;
    user.split(':').nth(2)?.parse().ok()
}

#[tokio::test]
async fn export_as_sql_is_loaded_by_postgresql_and_again() {
    let Some(postgres) = Postgres::start() else {
        eprintln!("skipped: PostgreSQL isn't installed");
        return;
    };
    let home = with_registry().await;
    let file = postgres.folder.path().join("registry.sql");
    hearth(&home, &["models", "export", "--format", "sql", "--output", &file.display().to_string()]).await;
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    for _ in 0..2 {
        postgres.psql(&["-f", &file.display().to_string()]);
        let listed =
            home.client().get("/v1/models?limit=200").await.json()["models"].as_array().unwrap().len();
        assert_eq!(postgres.count("hearth_models"), listed as u64);
        assert_eq!(postgres.count("hearth_models WHERE registration IS NOT NULL"), 2);
        assert_eq!(postgres.count("hearth_model_schemas WHERE version = 1 AND model = 'team/a'"), 1);
    }
    let description = postgres.psql(&["-c", "SELECT description FROM hearth_models WHERE id = 'team/a'"]);
    assert_eq!(description.trim_end(), "it's a \\ and a \"quote\"\nÄ");
    let maximum =
        "SELECT schema #>> '{properties,max_tokens,maximum}' FROM hearth_model_schemas WHERE version = 1";
    assert_eq!(postgres.psql(&["-c", maximum]).trim(), "9");
    home.stop().await;
}

#[tokio::test]
async fn migration_is_counted_without_a_change_and_repeated() {
    let home = Home::start().await;
    home.client().ask("Hello!").await;
    let migrate = async |data: &Path| {
        let path = data.display().to_string();
        let run = async |arguments: &[&str]| {
            let all = [&["migrate", "--json", "--data", &path], arguments].concat();
            json(&succeeds(hearth_tests::hearth(data, &all), "").await)["steps"][0].clone()
        };
        let dry = run(&["--dry-run", "--revert"]).await;
        assert_eq!((&dry["changed"], &dry["from"], &dry["to"]), (&json!(1), &json!(3), &json!(2)), "{dry}");
        assert_eq!(run(&["--revert"]).await["changed"], 1);
        assert_eq!(run(&["--revert"]).await["changed"], 0);
        assert_eq!(run(&[]).await["changed"], 1);
        assert_eq!(run(&[]).await["done"], 1);
    };
    let (home, ()) = home.restart_after_command(migrate).await;
    assert_eq!(home.client().get("/v1/requests").await.json()["requests"].as_array().unwrap().len(), 1);
    home.stop().await;
}
