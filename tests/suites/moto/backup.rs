//! `hearth export` and `hearth import`, between a data folder and a stack.

mod in_moto {
    use std::{fs, path::Path};

    use hearth_domain::{Artifact, ArtifactId, RunId, Timestamp};
    use hearth_store::{
        artifacts::ArtifactRecord,
        database::{Condition, Durability, Item, Key, Write},
        home,
    };
    use hearth_tests::{Home, Moto, hearth};
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use crate::{deployed, event, fails, invoke, invoke_event, succeeds};

    /// The lines of an export but for its header, which has the time. Their order is that of the database.
    fn lines(export: &Path) -> Vec<String> {
        let text = fs::read_to_string(export).unwrap();
        let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    /// A data folder with a token, a conversation of a model's answer, and an image. Returns its folder, the token, the run and
    /// the artifact.
    async fn used_at_home() -> (TempDir, String, String, ArtifactId) {
        let home = Home::start().await;
        let token = json!({"name": "laptop", "scopes": ["generate", "tokens"]});
        let token = home.client().post("/v1/users/tokens", &token).await.json();
        let body = json!({"model": home.model, "input": "What is the capital of France?"});
        let answer = home.client().post("/v1/responses", &body).await.json();
        let run = answer["id"].as_str().unwrap().to_owned();
        let folder = home.stop().await;
        let store = home::open(&folder.path().join("data"), Durability::Os).unwrap();
        let artifact = Artifact {
            id: ArtifactId::new(),
            media_type: "image/png".into(),
            size_bytes: 300_000,
            sha256: "00".into(),
            revised_prompt: None,
            expires_at: Timestamp::from_unix(Timestamp::now().unix() + 3600),
            link: String::new(),
        };
        let id = artifact.id;
        let owner = store.operator().await.unwrap();
        let record = ArtifactRecord {
            artifact,
            owner,
            organisation: None,
            run: RunId::new(),
            created_at: Timestamp::now(),
        };
        store.artifacts().put(&record, vec![7; 300_000]).await.unwrap();
        store.close().await;
        (folder, token["token"].as_str().unwrap().to_owned(), run, id)
    }

    /// The flags that name a stack's stores.
    fn stack(moto: &Moto) -> [&str; 4] {
        ["--table", &moto.names.table, "--bucket", &moto.names.bucket]
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn data_of_home_is_served_by_a_new_stack_and_comes_back_the_same() {
        let (folder, token, run, artifact) = used_at_home().await;
        let data = folder.path().join("data");
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let at_home = ["--data", data.to_str().unwrap()];
        let moto = deployed().await;
        let command = |arguments: &[&str], stores: &[&str]| {
            let mut command = moto.hearth(folder.path(), arguments);
            command.args(stores);
            command
        };
        succeeds(command(&["export", "--out", &file("home")], &at_home)).await;
        let counts = succeeds(command(&["import", &file("home"), "--json"], &stack(&moto))).await;
        let counts: Value = serde_json::from_str(&counts).unwrap();
        assert_eq!(
            (&counts["objects"], &counts["secrets"], &counts["kept"]),
            (&json!(1), &json!(0), &json!(0))
        );

        let refused = fails(command(&["import", &file("home")], &stack(&moto))).await;
        assert!(refused.contains("isn't empty") && refused.contains("--merge"), "{refused}");
        succeeds(command(&["export", "--out", &file("stack")], &stack(&moto))).await;
        assert_eq!(lines(Path::new(&file("stack"))), lines(Path::new(&file("home"))));

        // A process of the stack takes the token, and reads the response and the image.
        let accounts = moto.function("hearth-fn-accounts").await;
        let tokens = invoke(&accounts, "get_v1.users.tokens.json", &token).await.json().unwrap();
        assert!(
            tokens["tokens"].as_array().unwrap().iter().any(|token| token["name"] == "laptop"),
            "{tokens}"
        );
        let generate = moto.function("hearth-fn-generate").await;
        let mut read = event("get_v1.responses.id.json", &token);
        read["path"] = format!("/v1/responses/{run}").into();
        let response = invoke_event(&generate, &read).await;
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(response.status == 200 && text.contains("Paris"), "{text}");
        let mut read = event("get_v1.artifacts.id.json", &token);
        read["path"] = format!("/v1/artifacts/{artifact}").into();
        let image = invoke_event(&generate, &read).await;
        assert_eq!(image.status.as_u16(), 307, "{:?}", image.headers);
        // The bucket sends a large file itself.
        let link = hearth_tests::Client::new(image.headers["location"].to_str().unwrap(), None).get("").await;
        assert_eq!((link.status.as_u16(), link.body.len()), (200, 300_000), "{:?}", link.headers);
        let other = file("other");
        succeeds(hearth(folder.path(), &["import", &file("stack"), "--data", &other])).await;
        succeeds(hearth(folder.path(), &["export", "--data", &other, "--out", &file("again")])).await;
        assert_eq!(lines(Path::new(&file("again"))), lines(Path::new(&file("home"))));
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn missing_table_is_named_with_its_region_and_not_created() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let file = folder.path().join("export").to_str().unwrap().to_owned();
        let mut export = moto.hearth(folder.path(), &["export", "--out", &file]);
        export.args(stack(&moto));
        succeeds(export).await;
        let missing = format!("{}-typo", moto.names.table);
        for arguments in [&["import", &file][..], &["export", "--out", "never"]] {
            let mut command = moto.hearth(folder.path(), arguments);
            command.args(["--table", &missing, "--bucket", &moto.names.bucket]);
            let error = fails(command).await;
            assert!(
                error.contains(&format!("no DynamoDB table {missing} in the region us-east-1")),
                "{error}"
            );
        }
        let described = moto.clients.dynamodb.describe_table().table_name(&missing).send().await;
        described.unwrap_err();
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn first_token_is_refused_while_an_import_is_unfinished() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let item = Item {
            key: Key::new("IMPORT", "META"),
            gsi1: None,
            gsi2: None,
            ttl: None,
            version: 1,
            body: r#"{"export":"usr_1"}"#.to_owned(),
            bytes: None,
        };
        moto.store().database().write(Write::Put(item, Condition::Always)).await.unwrap();
        let create = ["token", "create", "first", "--table", &moto.names.table];
        let error = fails(moto.hearth(folder.path(), &create)).await;
        assert!(error.contains("repeat `hearth import FILE`"), "{error}");
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn secrets_of_a_stack_are_exported_to_a_private_file_only_if_wanted() {
        use std::os::unix::fs::PermissionsExt as _;

        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let keys = hearth_domain::Secret::new(r#"{"openai":"sk-of-the-stack"}"#.to_owned());
        moto.store().put_provider_keys(&keys).await.unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let mut command = moto.hearth(folder.path(), &["export", "--out", &file("without")]);
        command.args(stack(&moto));
        succeeds(command).await;
        assert!(!fs::read_to_string(file("without")).unwrap().contains("sk-of-the-stack"));
        let mut command = moto.hearth(folder.path(), &["export", "--secrets", "--out", &file("with")]);
        command.args(stack(&moto)).args(["--secret", &moto.names.secret]);
        command.args(["--provider-keys", &moto.names.provider_keys]);
        succeeds(command).await;
        assert!(fs::read_to_string(file("with")).unwrap().contains("sk-of-the-stack"));
        let mode = fs::metadata(file("with")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
