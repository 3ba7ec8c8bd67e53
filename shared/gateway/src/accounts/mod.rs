//! People: sign-in, registration, invitations, profiles, consents, passwords, and the export and the erasure of what a user owns.

mod administration;
mod changes;
mod common_passwords;
mod consent;
mod erasure;
mod export;
mod external_sign_in;
mod invites;
pub mod logins;
mod member_tokens;
mod members;
mod organisations;
pub mod passwords;
pub(crate) mod preferences;
mod profile;
pub mod provider_keys;
mod registration;
mod teams;
pub mod throttle;

pub use organisations::Organisations;

use hearth_wire::{ApiError, native::logins::SigningKeyList};

use crate::{Gateway, access::signing_keys::SigningKeys};

use logins::Logins;
use passwords::Passwords;

impl Gateway {
    /// Organisations, their members and their teams.
    #[must_use]
    pub fn organisations(&self) -> &Organisations {
        &self.0.organisations
    }
}

impl Gateway {
    /// Logins: sign-in, refresh, logout.
    #[must_use]
    pub fn logins(&self) -> &Logins {
        &self.0.logins
    }

    /// Hashes of passwords.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// The keys that sign access tokens.
    #[must_use]
    pub fn signing_keys(&self) -> &SigningKeys {
        &self.0.signing_keys
    }

    /// [`SigningKeys::rotate`], after which no cached caller of a revoked key is left.
    ///
    /// # Errors
    /// As [`SigningKeys::rotate`].
    #[crate::boxed_future]
    pub async fn rotate_signing_key(&self, revokes: bool) -> Result<SigningKeyList, ApiError> {
        let keys = self.0.signing_keys.rotate(revokes).await?;
        if revokes {
            self.0.access.forget_callers();
        }
        Ok(keys)
    }
}
