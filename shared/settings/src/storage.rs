//! Settings of the model folder.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{InvalidSetting, check_ranges},
    shown,
};

/// The table `storage` of the settings. By default every model stays.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSettings {
    /// The size of all files of the model folder together, in bytes or as `20GB`; absent: no limit.
    #[serde(serialize_with = "shown::bytes")]
    pub max_bytes: Option<ByteSize>,
    /// Days that a model stays after its last use; absent: for ever.
    pub keep_days: Option<u32>,
}

impl StorageSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges("storage.", [("keep_days", self.keep_days.map(u64::from), 1..=36_500)])?;
        if self.max_bytes == Some(ByteSize(0)) {
            let message = "storage.max_bytes must be more than 0; leave it out for no limit";
            return Err(InvalidSetting::new(message));
        }
        Ok(())
    }
}
