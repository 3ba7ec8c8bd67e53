//! Sums of the files of a user and of an organisation.

use hearth_domain::{OrganisationId, Owner};
use serde::{Deserialize, Serialize};

use crate::database::{Condition, Created, Key, META, Update, Write};

const VERSION: u32 = 1;

/// The files of a user, or of an organisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileSums {
    /// Their bytes.
    pub bytes: i64,
    /// Their number.
    pub count: i64,
}

/// The most that a user or an organisation may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuota {
    /// Bytes of all files.
    pub max_bytes: u64,
    /// Number of files.
    pub max_count: u64,
}

impl FileSums {
    /// True if one more file of this size fits.
    #[must_use]
    pub fn has_room(&self, size_bytes: u64, quota: FileQuota) -> bool {
        match room(size_bytes, quota) {
            Some((bytes, count)) => self.bytes <= bytes && self.count <= count,
            None => false,
        }
    }
}

/// The most bytes and files that the sums may have before a file of this size is added; `None` if it never fits.
fn room(size_bytes: u64, quota: FileQuota) -> Option<(i64, i64)> {
    let bytes = quota.max_bytes.checked_sub(size_bytes)?;
    let count = quota.max_count.checked_sub(1)?;
    Some((i64::try_from(bytes).unwrap_or(i64::MAX), i64::try_from(count).unwrap_or(i64::MAX)))
}

/// Adds a file to the sums, if it fits; `None` if it never does.
pub(super) fn add(key: Key, size_bytes: u64, quota: FileQuota) -> Option<Write> {
    let (bytes, count) = room(size_bytes, quota)?;
    let fits = vec![Condition::NumberAtMost("bytes", bytes), Condition::NumberAtMost("count", count)];
    let update = Update {
        create: Some(Created { version: VERSION, ttl: None }),
        add: vec![("bytes", size(size_bytes)), ("count", 1)],
        ..Update::default()
    };
    Some(Write::Update(key, update, Condition::All(fits)))
}

/// Subtracts a file from the sums.
pub(super) fn subtract(key: Key, size_bytes: u64) -> Write {
    let update = Update {
        create: Some(Created { version: VERSION, ttl: None }),
        add: vec![("bytes", -size(size_bytes)), ("count", -1)],
        ..Update::default()
    };
    Write::Update(key, update, Condition::Always)
}

/// Deletes sums without a file.
pub(super) fn delete_empty(key: Key) -> Write {
    Write::Delete(key, Condition::NumberAtMost("count", 0))
}

pub(super) fn of_user(owner: Owner) -> Key {
    Key::new(format!("FILESUM#{}#{}", owner.organisation, owner.user), META)
}

/// The uploads of a user that aren't completed.
pub(super) fn of_uploads(owner: Owner) -> Key {
    Key::new(of_user(owner).pk, "UPLOADS")
}

pub(super) fn of_organisation(organisation: OrganisationId) -> Key {
    Key::new(format!("FILESUM#{organisation}"), META)
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_fits_up_to_the_last_byte_and_the_last_file() {
        let quota = FileQuota { max_bytes: 10, max_count: 2 };
        let has_room = |bytes, count, size| FileSums { bytes, count }.has_room(size, quota);
        assert!(has_room(0, 0, 10) && has_room(7, 1, 3));
        assert!(!has_room(0, 0, 11) && !has_room(8, 1, 3) && !has_room(2, 2, 1));
    }
}
