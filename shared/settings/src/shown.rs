//! Settings as `hearth config` prints them: secrets hidden, sizes in bytes.

use bytesize::ByteSize;
use hearth_domain::Secret;
use serde::Serializer;

/// Serialises a secret as being set.
pub(crate) fn hidden<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some("(set, not shown)"),
        None => serializer.serialize_none(),
    }
}

/// Serialises a size as its number of bytes.
pub(crate) fn bytes<S: Serializer>(
    size: &(impl Into<Option<ByteSize>> + Copy),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match (*size).into() {
        Some(size) => serializer.serialize_some(&size.as_u64()),
        None => serializer.serialize_none(),
    }
}
