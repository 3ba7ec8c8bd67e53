//! The item that marks an import which isn't finished.
//!
//! A store with this item has a part of its data only. A gateway that starts on it may create a new operator, which the
//! repeated import then keeps, and every imported token and run belongs to an operator that is gone.

use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Key, META},
};

/// The version of the item's shape.
#[cfg(feature = "backup")]
pub(crate) const VERSION: u32 = 1;

/// The mark.
#[derive(Serialize, Deserialize)]
pub(crate) struct ImportMark {
    /// The id of the export.
    pub(crate) export: String,
}

pub(crate) fn key() -> Key {
    Key::new("IMPORT", META)
}

/// Fails if the store has the mark.
pub(crate) async fn refuse(table: &Table) -> Result<(), StoreError> {
    match table.get::<ImportMark>(&key()).await? {
        Some(mark) => Err(StoreError::UnfinishedImport(mark.export)),
        None => Ok(()),
    }
}
