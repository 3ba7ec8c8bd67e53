//! Tests of the store over both databases: SQLite, files and a master key of a data folder; and DynamoDB, S3, Secrets
//! Manager and KMS through the AWS SDK. The latter are answered by the emulator of this project and, in the tests `in_moto`, by moto:
//! an implementation that shares no code with it. `cargo xtask test --only moto` starts a moto server and runs these.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod aggregates;
mod audit;
mod batches;
mod budgets;
mod configuration;
mod conformance;
mod credentials;
mod damage;
mod definitions;
mod deliveries;
mod events;
mod files;
mod identities;
mod item_migrations;
mod jobs;
mod kill;
mod limits;
mod logins;
mod master_key;
mod migration;
mod migration_kill;
mod model;
mod nodes;
mod organisations;
mod people;
mod property;
mod provider_keys;
mod registry;
mod relay;
mod relay_property;
mod requests;
mod sessions;
mod sockets;
mod webhooks;
mod world;

/// Runs each of the tests, functions of a [`world::World`], over both databases, and over moto's.
#[macro_export]
macro_rules! on_all {
    ($($test:ident),* $(,)?) => {
        mod at_home {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::world::World::at_home().await).await;
            })*
        }
        mod in_aws {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::world::World::in_aws().await).await;
            })*
        }
        mod in_moto {
            $(#[tokio::test]
            #[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
            async fn $test() {
                super::$test($crate::world::World::in_moto().await).await;
            })*
        }
    };
}
