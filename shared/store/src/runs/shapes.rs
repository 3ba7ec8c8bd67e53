//! Records of runs in other shapes, for migrations.

use serde::Serialize;

use super::{Stored, StoredV1, VERSION};
use crate::{
    StoreError,
    database::{Item, META},
};

/// True for the record of a run.
pub(crate) fn is_record(item: &Item) -> bool {
    item.key.pk.starts_with("RUN#") && item.key.sk == META
}

/// Rewrites a record of version 1.
pub(crate) fn to_version_2(item: &Item) -> Result<Item, StoreError> {
    let StoredV1 { run, text } = item.read()?;
    let record = serde_json::to_string(&run).map_err(StoreError::unreadable)?;
    rewritten(item, VERSION, &Stored { record, state: run.state, text })
}

/// Rewrites a record of version 2 for a program that reads version 1 only.
pub(crate) fn to_version_1(item: &Item) -> Result<Item, StoreError> {
    let stored: Stored = item.read()?;
    let run = serde_json::from_str(&stored.record).map_err(StoreError::unreadable)?;
    rewritten(item, 1, &StoredV1 { run, text: stored.text })
}

/// The item with another shape, in the same indexes and with the same expiry.
fn rewritten(item: &Item, version: u32, body: &impl Serialize) -> Result<Item, StoreError> {
    let shape = Item::new(item.key.clone(), version, body)?;
    Ok(Item { version, body: shape.body, ..item.clone() })
}
