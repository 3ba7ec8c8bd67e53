//! Consents of users to documents of the operator, such as terms of use.

use hearth_domain::Timestamp;
use hearth_store::{StoreError, consents::ConsentRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    native::users::{ConsentBody, ConsentList, GiveConsent},
};

use crate::{Caller, Gateway, error};

/// Maximum length of a document's name, and of its version, in characters.
const TEXT_MAX_CHARS: usize = 100;
/// Limit of the consents of a user.
const CONSENT_MAX_COUNT: usize = 1000;

impl Gateway {
    /// Records the caller's consent to a version of a document, with the time.
    ///
    /// # Errors
    /// `invalid_request`; `conflict` if the caller has given too many.
    #[crate::boxed_future]
    pub async fn give_consent(&self, caller: &Caller, request: GiveConsent) -> Result<ConsentBody, ApiError> {
        let GiveConsent { document, version } = request;
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if !(1..=TEXT_MAX_CHARS).contains(&document.chars().count()) || !document.chars().all(is_name) {
            let message = format!(
                "document must have 1 to {TEXT_MAX_CHARS} characters: lower-case letters, digits, - and _"
            );
            return Err(ApiError::invalid("document", message));
        }
        if !(1..=TEXT_MAX_CHARS).contains(&version.chars().count()) || version.chars().any(char::is_control) {
            let message =
                format!("version must have 1 to {TEXT_MAX_CHARS} characters, and no control characters");
            return Err(ApiError::invalid("version", message));
        }
        if self.0.store.consents().of(caller.user).await.map_err(error::store)?.len() >= CONSENT_MAX_COUNT {
            let message = format!("a user can give {CONSENT_MAX_COUNT} consents");
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let record = ConsentRecord { document, version, given_at: Timestamp::now() };
        match self.0.store.consents().append(caller.user, &record).await {
            Ok(()) => Ok(consent_body(record)),
            Err(StoreError::Conflict) => {
                let message = "a consent to this document is being recorded at this moment; try again";
                Err(ApiError::new(ErrorCode::Conflict, message))
            }
            Err(error) => Err(error::store(error)),
        }
    }

    /// The caller's consents, oldest first.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_consents(&self, caller: &Caller) -> Result<ConsentList, ApiError> {
        let consents = self.0.store.consents().of(caller.user).await.map_err(error::store)?;
        Ok(ConsentList { consents: consents.into_iter().map(consent_body).collect() })
    }
}

pub(super) fn consent_body(record: ConsentRecord) -> ConsentBody {
    let ConsentRecord { document, version, given_at } = record;
    ConsentBody { document, version, given_at: given_at.to_string() }
}
