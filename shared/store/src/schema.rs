//! The version of the stored data.

use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, META},
};

/// The version. It is increased with each change that earlier versions of the program can't read.
pub(crate) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Schema {
    version: u32,
}

/// Creates the table if it is missing, and checks the version.
pub(crate) async fn migrate(table: &Table) -> Result<(), StoreError> {
    table.0.prepare().await?;
    check_version(table).await
}

/// Checks the version. A table without one has this program's from now on.
pub(crate) async fn check_version(table: &Table) -> Result<(), StoreError> {
    let key = Key::new("SCHEMA", META);
    match table.get::<Schema>(&key).await? {
        None => table.put(Item::new(key, 1, &Schema { version: VERSION })?, Condition::Always).await,
        Some(schema) if schema.version > VERSION => {
            Err(StoreError::Newer { found: schema.version, known: VERSION })
        }
        Some(_) => Ok(()),
    }
}
