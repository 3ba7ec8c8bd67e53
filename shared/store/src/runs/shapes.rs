//! Shapes of run records: the present one, the earlier ones that are read, and their migrations.

use hearth_domain::{Run, RunState};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError,
    database::{Item, META},
};

/// The present shape. In version 1 each of the run's fields was an attribute; in version 2 the record was one attribute, a text.
pub(super) const VERSION: u32 = 3;

/// The fields beside a run's record. Its text is one of them, or an object of the bucket.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    /// A copy of the run's state, for conditions.
    pub(super) state: RunState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text_key: Option<String>,
}

/// A run's text, or the key of the object that contains it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct StoredText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text_key: Option<String>,
}

/// A record of version 2.
#[derive(Serialize, Deserialize)]
struct StoredV2 {
    /// The run, but for its text, as JSON.
    record: String,
    state: RunState,
    #[serde(flatten)]
    text: StoredText,
}

/// A record of version 1.
#[derive(Serialize, Deserialize)]
struct StoredV1 {
    #[serde(flatten)]
    run: Run,
    #[serde(flatten)]
    text: StoredText,
}

/// Reads a run without its text, and the text's place.
pub(super) fn read_record(item: &Item) -> Result<(Run, StoredText), StoreError> {
    match item.version {
        0 | 1 => {
            let stored: StoredV1 = item.read()?;
            Ok((stored.run, stored.text))
        }
        2 => {
            let stored: StoredV2 = item.read()?;
            Ok((serde_json::from_str(&stored.record).map_err(StoreError::unreadable)?, stored.text))
        }
        _ => {
            let Stored { text, text_key, .. } = item.read()?;
            let record = item.bytes.as_deref().unwrap_or_default();
            let run = serde_json::from_slice(record).map_err(StoreError::unreadable)?;
            Ok((run, StoredText { text, text_key }))
        }
    }
}

/// True for the record of a run.
pub(crate) fn is_record(item: &Item) -> bool {
    item.key.pk.starts_with("RUN#") && item.key.sk == META
}

/// Rewrites a record of version 1.
pub(crate) fn to_version_2(item: &Item) -> Result<Item, StoreError> {
    let StoredV1 { run, text } = item.read()?;
    let record = serde_json::to_string(&run).map_err(StoreError::unreadable)?;
    rewritten(item, 2, &StoredV2 { record, state: run.state, text })
}

/// Rewrites a record of version 2 for a program that reads version 1 only.
pub(crate) fn to_version_1(item: &Item) -> Result<Item, StoreError> {
    let stored: StoredV2 = item.read()?;
    let run = serde_json::from_str(&stored.record).map_err(StoreError::unreadable)?;
    rewritten(item, 1, &StoredV1 { run, text: stored.text })
}

/// Rewrites a record of version 2.
pub(crate) fn to_version_3(item: &Item) -> Result<Item, StoreError> {
    let StoredV2 { record, state, text: StoredText { text, text_key } } = item.read()?;
    let item = rewritten(item, 3, &Stored { state, text, text_key })?;
    Ok(item.with_bytes(record.into_bytes()))
}

/// Rewrites a record of version 3 for a program that reads version 2.
pub(crate) fn from_version_3(item: &Item) -> Result<Item, StoreError> {
    let Stored { state, text, text_key } = item.read()?;
    let bytes = item.bytes.clone().unwrap_or_default();
    let record = String::from_utf8(bytes).map_err(StoreError::unreadable)?;
    let text = StoredText { text, text_key };
    Ok(Item { bytes: None, ..rewritten(item, 2, &StoredV2 { record, state, text })? })
}

/// The item with another shape, in the same indexes and with the same expiry.
fn rewritten(item: &Item, version: u32, body: &impl Serialize) -> Result<Item, StoreError> {
    let shape = Item::new(item.key.clone(), version, body)?;
    Ok(Item { version, body: shape.body, ..item.clone() })
}
