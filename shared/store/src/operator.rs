//! The operator of this gateway: one user, created at the first read.

use hearth_domain::UserId;
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, META},
    import_mark,
};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Operator {
    user: UserId,
}

/// Returns the operator. Concurrent callers get the same one: the first write wins.
pub(crate) async fn get_or_create(table: &Table) -> Result<UserId, StoreError> {
    let key = Key::new("OPERATOR", META);
    if let Some(operator) = table.get::<Operator>(&key).await? {
        return Ok(operator.user);
    }
    // The operator of the imported data comes with the rest of the file.
    import_mark::refuse(table).await?;
    let new = Operator { user: UserId::new() };
    match table.put(Item::new(key.clone(), VERSION, &new)?, Condition::Absent).await {
        Ok(()) => Ok(new.user),
        Err(StoreError::Conflict) => {
            let first = table.get::<Operator>(&key).await?;
            first.map(|operator| operator.user).ok_or(StoreError::Conflict)
        }
        Err(error) => Err(error),
    }
}
