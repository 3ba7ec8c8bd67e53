//! The operator of this gateway: one user, created at the first read, and their organisation.

use hearth_domain::{MemberRole, OrganisationId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, META},
    import_mark,
    organisations::{MemberRecord, OrganisationRecord},
    users::UserRecord,
};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Operator {
    user: UserId,
}

/// Returns the operator, if there is one.
pub(crate) async fn find(table: &Table) -> Result<Option<UserId>, StoreError> {
    let operator = table.get::<Operator>(&Key::new("OPERATOR", META)).await?;
    Ok(operator.map(|operator| operator.user))
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

impl Store {
    /// Creates the operator's user record, and their organisation with them as its owner, under these names. Records that are
    /// there stay as they are.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn create_operators_records(
        &self,
        operator: UserId,
        user_name: &str,
        organisation_name: &str,
    ) -> Result<(), StoreError> {
        let id = OrganisationId::of_operator(operator);
        let organisation = OrganisationRecord::new(id, organisation_name);
        let owner = MemberRecord::new(id, operator, MemberRole::Owner);
        unless_there(self.users().create(&UserRecord::new(operator, user_name)).await)?;
        unless_there(self.organisations().create(&organisation, &owner).await)
    }
}

/// The result of a creation that another caller may have made before.
fn unless_there(created: Result<(), StoreError>) -> Result<(), StoreError> {
    match created {
        Err(StoreError::Conflict) => Ok(()),
        result => result,
    }
}
