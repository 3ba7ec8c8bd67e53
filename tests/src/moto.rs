//! The stores of AWS in a moto server, which shares no code with this project.
//!
//! `cargo xtask test --only moto` starts the server and runs the tests `in_moto`, which are ignored otherwise.

use std::path::Path;

use hearth_domain::UserId;
use hearth_store::{Clients, Names, Store};
use lambda_emulator::Emulator;
use tokio::process::Command;

use crate::{binary, hearth};

/// Table, bucket and secrets under names that no other test has.
#[derive(Debug, Clone)]
pub struct Moto {
    /// The clients, as the functions create them.
    pub clients: Clients,
    /// The names.
    pub names: Names,
    url: String,
}

impl Moto {
    /// Connects to the server at `AWS_ENDPOINT_URL`, and creates the bucket. The table is created by `Store::migrate`.
    ///
    /// # Panics
    /// If there is no server.
    pub async fn connect() -> Self {
        let (url, clients) = (endpoint_url(), Clients::from_environment().await);
        let own = UserId::new().to_string().to_lowercase().replace('_', "-");
        let name = |kind: &str| format!("hearth-{kind}-{own}");
        let key = clients.kms.create_key().send().await;
        let key = key.unwrap_or_else(|error| panic!("a key in moto at {url}: {error:?}"));
        let kms_key = key.key_metadata.and_then(|key| key.arn).unwrap_or_default();
        let names = Names {
            table: name("table"),
            bucket: name("bucket"),
            secret: name("root"),
            provider_keys: name("provider-keys"),
            kms_key,
        };
        let created = clients.s3.create_bucket().bucket(&names.bucket).send().await;
        created.unwrap_or_else(|error| panic!("the bucket in moto at {url}: {error:?}"));
        Self { clients, names, url }
    }

    /// Opens the store.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(self.clients.clone(), self.names.clone())
    }

    /// Counts the objects of the bucket.
    ///
    /// # Panics
    /// If they can't be listed.
    pub async fn count_objects(&self) -> usize {
        let list = self.clients.s3.list_objects_v2().bucket(&self.names.bucket).send().await;
        list.unwrap_or_else(|error| panic!("the bucket in moto: {error:?}")).contents().len()
    }

    /// `hearth` with `arguments`, and with the AWS environment that reaches the server.
    #[must_use]
    pub fn hearth(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = hearth(home, arguments);
        command.envs(self.variables());
        command
    }

    /// Starts the function's binary, such as `hearth-fn-accounts`, over these stores.
    ///
    /// # Panics
    /// If it doesn't start.
    pub async fn function(&self, name: &str) -> Emulator {
        let Names { table, bucket, secret, provider_keys, kms_key } = &self.names;
        let mut env = vec![
            ("HEARTH_TABLE", table.as_str()),
            ("HEARTH_BUCKET", bucket),
            ("HEARTH_SECRET", secret),
            ("HEARTH_PROVIDER_KEYS", provider_keys),
            ("HEARTH_KMS_KEY", kms_key),
            ("HEARTH_LOG_LEVEL", "info"),
            ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
        ];
        env.extend(self.variables());
        let started = Emulator::start(&binary(name), &env).await;
        started.unwrap_or_else(|failure| panic!("{name}: {failure}"))
    }

    fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "none"),
            ("AWS_SECRET_ACCESS_KEY", "none"),
        ]
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the gate's step passes the server's address in AWS' own variable"
)]
fn endpoint_url() -> String {
    let url = std::env::var("AWS_ENDPOINT_URL");
    url.unwrap_or_else(|_| panic!("no moto server: run `cargo xtask test --only moto`"))
}
