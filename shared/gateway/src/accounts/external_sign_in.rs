//! Opens a login for a user whom an identity provider has signed in.

use hearth_wire::{
    ApiError,
    native::{logins::LoginBody, sign_in::SignInByToken},
};

use super::logins::LoginOrigin;
use crate::Gateway;

impl Gateway {
    /// Signs a user in by an ID token of an identity provider. The login's method is the provider's name.
    ///
    /// # Errors
    /// `rate_limited` after too many attempts of the address; `invalid_request` for an unknown provider; `unauthorized` for a
    /// token that isn't valid, and for a user whose access was removed; `forbidden` for a user whose claims give no role;
    /// `issuer_unavailable`.
    #[crate::boxed_future]
    pub async fn sign_in_by_token(
        &self,
        request: &SignInByToken,
        origin: LoginOrigin,
    ) -> Result<LoginBody, ApiError> {
        self.0.throttle.by_address(origin.address).await?;
        let signed_in = self.0.access.verify_sign_in(request).await?;
        let origin = LoginOrigin { method: signed_in.provider, ..origin };
        self.0.logins.open(signed_in.user, signed_in.organisation, origin).await
    }
}
