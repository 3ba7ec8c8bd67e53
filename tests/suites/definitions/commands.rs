//! `hearth schema` and `hearth template`.

use hearth_tests::{Ended, Home, hearth, run};
use serde_json::{Value, json};

use crate::{receipt, summary};

async fn command(home: &Home, arguments: &[&str], input: &str) -> Ended {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    run(command, input).await
}

async fn prints(home: &Home, arguments: &[&str], input: &str) -> String {
    let ended = command(home, arguments, input).await;
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

#[tokio::test]
async fn schema_is_created_from_a_file_updated_from_standard_input_and_compared() {
    let home = Home::start_without_node().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receipt.json");
    std::fs::write(&file, receipt().to_string()).unwrap();
    let file = file.to_str().unwrap();
    let created =
        prints(&home, &["schema", "create", file, "--description", "A receipt", "--tag", "finance"], "")
            .await;
    assert_eq!(created.trim(), "receipt@1.0.0");
    let table = prints(&home, &["schema", "list", "receipt"], "").await;
    assert!(table.starts_with("NAME") && table.contains("A receipt") && table.contains("private"), "{table}");
    let mut changed = receipt();
    changed["required"] = json!(["shop"]);
    let updated =
        prints(&home, &["schema", "update", "receipt", "-", "--message", "less"], &changed.to_string()).await;
    assert_eq!(updated.trim(), "receipt@1.1.0");
    let versions = prints(&home, &["schema", "versions", "receipt"], "").await;
    assert!(versions.contains("1.1.0") && versions.contains("less"), "{versions}");
    let diff = prints(&home, &["schema", "diff", "receipt"], "").await;
    assert!(diff.contains("- /required/1") && diff.contains("compatible: a minor change"), "{diff}");
    let back = command(&home, &["schema", "check", "receipt", file], "").await;
    assert!(!back.status.success() && back.stdout.contains("breaking /required"), "{back:?}");
    let label = ["schema", "label", "receipt", "production", "1.0.0", "--expected", "none"];
    assert!(prints(&home, &label, "").await.contains("production -> 1.0.0"));
    let again = command(&home, &label, "").await;
    assert!(!again.status.success() && again.stderr.contains("points to 1.0.0"), "{again:?}");
    let shown = prints(&home, &["schema", "show", "receipt@production", "--content"], "").await;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), receipt());
    let yaml = prints(&home, &["schema", "show", "receipt", "-f", "yaml"], "").await;
    assert!(yaml.contains("name: receipt") && yaml.contains("shop:"), "{yaml}");
    prints(&home, &["schema", "label", "receipt", "production", "--remove"], "").await;
    prints(&home, &["schema", "delete", "receipt", "--yes"], "").await;
    let gone = command(&home, &["schema", "show", "receipt"], "").await;
    assert!(!gone.status.success() && gone.stderr.contains("there is no schema"), "{gone:?}");
    home.stop().await;
}

#[tokio::test]
async fn template_is_rendered_with_variables_of_flags_and_files() {
    let home = Home::start_without_node().await;
    let folder = tempfile::tempdir().unwrap();
    let create = ["template", "create", "-", "--name", "summary", "--json"];
    let created: Value = serde_json::from_str(&prints(&home, &create, &summary().to_string()).await).unwrap();
    assert_eq!((&created["object"], &created["version"]), (&json!("template"), &json!("1.0.0")));
    let vars = folder.path().join("vars.json");
    std::fs::write(&vars, r#"{"text": "From the file", "style": "long"}"#).unwrap();
    let render = ["template", "render", "summary", "--vars", vars.to_str().unwrap(), "--var", "style=short"];
    let rendered = prints(&home, &render, "").await;
    assert_eq!(rendered, "Be short.\nSum up: From the file\n");
    let missing = command(&home, &["template", "render", "summary"], "").await;
    assert!(!missing.status.success() && missing.stderr.contains("variables.text"), "{missing:?}");
    let built_in =
        prints(&home, &["template", "render", "invoice", "--var", "text=Tea", "-f", "json"], "").await;
    assert_eq!(serde_json::from_str::<Value>(&built_in).unwrap()["schema_id"], "invoice@1.0.0");
    home.stop().await;
}
