//! `hearth token --table`.

mod in_moto {
    use serde_json::Value;
    use tempfile::TempDir;

    use crate::{deployed, fails, invoke, succeeds};

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn first_token_of_a_stack_is_taken_by_its_functions_until_it_is_revoked() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let hearth = |arguments: &[&str]| {
            let mut command = moto.hearth(folder.path(), &["token"]);
            command.args(arguments).args(["--table", &moto.names.table]);
            command
        };
        let token = succeeds(hearth(&["create", "first"])).await;
        let accounts = moto.function("hearth-fn-accounts").await;
        let answer = invoke(&accounts, "get_v1.users.tokens.json", token.trim()).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body());
        assert_eq!(answer.json().unwrap()["tokens"][0]["name"], "first");
        let answer =
            invoke(&accounts, "get_v1.users.tokens.json", "hth_00000000000000000000000000000000").await;
        assert_eq!(answer.status, 401, "{:?}", answer.body());

        let list: Value = serde_json::from_str(&succeeds(hearth(&["list", "--json"])).await).unwrap();
        let id = list["tokens"][0]["id"].as_str().unwrap();
        succeeds(hearth(&["revoke", id])).await;
        // Another process: a token may be used for a minute after another process has revoked it.
        let accounts = moto.function("hearth-fn-accounts").await;
        let answer = invoke(&accounts, "get_v1.users.tokens.json", token.trim()).await;
        assert_eq!(answer.status, 401, "{:?}", answer.body());
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn missing_table_is_named_with_the_reason() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let error = fails(moto.hearth(folder.path(), &["token", "list", "--table", "no-such-table"])).await;
        assert!(error.contains("ResourceNotFoundException"), "{error}");
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn functions_reach_table_bucket_and_secret() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let create = ["token", "create", "first", "--table", &moto.names.table];
        let token = succeeds(moto.hearth(folder.path(), &create)).await;
        let ops = moto.function("hearth-fn-ops").await;
        for file in ["get_health.json", "get_ready.json"] {
            let answer = invoke(&ops, file, token.trim()).await;
            assert_eq!(answer.status, 200, "{file}: {:?}", answer.body());
        }
    }
}
