//! Credentials of the AWS CLI's profiles.

mod in_moto {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use hearth_tests::Moto;
    use tempfile::TempDir;
    use tokio::process::Command;

    use crate::{deployed, fails, succeeds};

    /// `hearth token create first` with the profile `work` of this file, and without other credentials.
    fn create_token(moto: &Moto, folder: &Path, profile: &str) -> Command {
        let config = folder.join("config");
        fs::write(&config, format!("[profile work]\nregion = us-east-1\n{profile}")).unwrap();
        let arguments = ["token", "create", "first", "--table", &moto.names.table];
        let mut command = moto.hearth(folder, &arguments);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
            command.env_remove(name);
        }
        command
            .env("AWS_CONFIG_FILE", config)
            .env("AWS_PROFILE", "work")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn profile_with_a_program_has_its_credentials() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let (program, calls) = (folder.path().join("credentials"), folder.path().join("calls"));
        let answer = r#"{"Version": 1, "AccessKeyId": "AKIAPROGRAM", "SecretAccessKey": "secret", "SessionToken": "session"}"#;
        fs::write(
            &program,
            format!("#!/bin/sh\necho called >> {}\ncat <<'END'\n{answer}\nEND\n", calls.display()),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let profile = format!("credential_process = {}\n", program.display());
        let token = succeeds(create_token(&moto, folder.path(), &profile)).await;
        assert!(token.starts_with("hth_"), "{token}");
        assert_eq!(fs::read_to_string(&calls).unwrap(), "called\n");
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn profile_of_sso_without_a_login_is_refused_with_the_command_for_it() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let profile = "sso_session = company\nsso_account_id = 123456789012\nsso_role_name = Admin\n\
                       [sso-session company]\nsso_region = us-east-1\nsso_start_url = https://company.awsapps.com/start\n";
        let error = fails(create_token(&moto, folder.path(), profile)).await;
        assert!(error.contains("aws sso login"), "{error}");
    }

    #[tokio::test]
    #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
    async fn missing_credentials_are_named() {
        let (moto, folder) = (deployed().await, TempDir::new().unwrap());
        let error = fails(create_token(&moto, folder.path(), "")).await;
        assert!(error.contains("AWS credentials"), "{error}");
    }
}
