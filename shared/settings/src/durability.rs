//! The durability of the database of `hearth up`.

use serde::{Deserialize, Serialize};

/// Acknowledged writes that a power cut may lose. A killed process loses none, in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// No write: each commit waits for the disk.
    Fsync,
    /// Writes of the last seconds, which the operating system had not yet written. The database stays consistent.
    #[default]
    Os,
}
