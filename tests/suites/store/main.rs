//! Tests of the store over both databases: SQLite, files and a key file of a data folder; and DynamoDB, S3 and Secrets
//! Manager through the AWS SDK.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod aggregates;
mod conformance;
mod kill;
mod migration;
mod model;
mod property;
mod world;

/// Runs each of the tests, functions of a [`world::World`], over both databases.
#[macro_export]
macro_rules! on_both {
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
    };
}
