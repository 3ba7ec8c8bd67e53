//! Changes of stored records, which are tried again when another change comes first.

use hearth_store::StoreError;
use hearth_wire::{ApiError, ErrorCode};

use crate::error;

/// Limit of the attempts at one change.
const ATTEMPT_MAX_COUNT: u32 = 8;

/// The reason why a change doesn't take place.
#[derive(Debug)]
pub(super) enum Unchanged {
    /// The change isn't allowed.
    Refused(ApiError),
    /// The store failed, or another change came first.
    Store(StoreError),
}

impl From<ApiError> for Unchanged {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for Unchanged {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Reads and changes until no other change comes between the two. `change` reads the records itself.
///
/// # Errors
/// That of a refusal; `conflict` if the others' changes don't end; `internal` if the store fails.
pub(super) async fn retry<T, F>(change: impl Fn() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, Unchanged>>,
{
    for _ in 0..ATTEMPT_MAX_COUNT {
        match change().await {
            Ok(changed) => return Ok(changed),
            Err(Unchanged::Store(StoreError::Conflict)) => {}
            Err(Unchanged::Store(failure)) => return Err(error::store(failure)),
            Err(Unchanged::Refused(refusal)) => return Err(refusal),
        }
    }
    let message = "others change the same thing at this moment; try again";
    Err(ApiError::new(ErrorCode::Conflict, message))
}
