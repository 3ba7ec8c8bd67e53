//! Signs users in by an ID token of an identity provider.

use hearth_auth::{TokenUse, UnverifiedToken, sha256_hex};
use hearth_domain::{OrganisationId, Timestamp, UserId};
use hearth_store::StoreError;
use hearth_wire::{
    ApiError, ErrorCode,
    native::sign_in::{SignInByToken, SignInProvider},
};

use super::{CLOCK_SKEW_SECONDS, provision::ClaimsOf};
use crate::{access::Access, error};

/// A user whom an identity provider has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalSignIn {
    pub(crate) user: UserId,
    pub(crate) organisation: OrganisationId,
    /// The name of the provider.
    pub(crate) provider: String,
}

impl Access {
    /// The identity providers by which users can sign in.
    #[must_use]
    pub fn sign_in_providers(&self) -> Vec<SignInProvider> {
        let providers = self.issuers.list().into_iter().filter_map(|provider| {
            let settings = &provider.settings;
            Some(SignInProvider {
                name: provider.name.clone(),
                issuer: settings.issuer.clone(),
                client_id: settings.client_id.clone()?,
                client_secret: settings.public_client_secret.clone(),
                redirect_uri: settings.redirect_uri.clone(),
                scopes: settings.scopes.clone(),
            })
        });
        providers.collect()
    }

    /// True if users can sign in by a provider of this name. A login by one that the operator has removed ends at its
    /// next refresh.
    pub(crate) fn has_sign_in_provider(&self, name: &str) -> bool {
        self.issuers.of_name(name).is_some_and(|provider| provider.settings.client_id.is_some())
    }

    /// Verifies an ID token, and returns its user. A token signs in once.
    ///
    /// # Errors
    /// `invalid_request` for an unknown provider; `unauthorized` for a token that isn't valid, or used already, and for a
    /// user whose access was removed; `forbidden` for a user whose claims give no role; `issuer_unavailable`.
    pub(crate) async fn verify_sign_in(&self, request: &SignInByToken) -> Result<ExternalSignIn, ApiError> {
        let provider = self.issuers.of_name(&request.provider);
        let with_client =
            provider.and_then(|provider| Some((provider, provider.settings.client_id.as_deref()?)));
        let Some((provider, client_id)) = with_client else {
            let message =
                "nobody signs in by an identity provider of this name; GET /v1/sign-in lists the providers";
            return Err(ApiError::invalid("provider", message));
        };
        let token = request.id_token.expose();
        let malformed =
            || ApiError::new(ErrorCode::Unauthorized, "id_token isn't a JWT of an identity provider");
        let unverified = UnverifiedToken::parse(token).ok_or_else(malformed)?;
        let token_use = TokenUse::SignIn { client_id, nonce: request.nonce.as_deref() };
        let claims = provider.verify(token, &unverified, token_use).await?;
        let end = i64::try_from(claims.expires_at().saturating_add(CLOCK_SKEW_SECONDS)).unwrap_or(i64::MAX);
        let hash = sha256_hex(token.as_bytes());
        match self.store.identities().use_token(&hash, Timestamp::from_unix(end)).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => {
                let message = "this ID token has signed in already; sign in at the identity provider again";
                return Err(ApiError::new(ErrorCode::Unauthorized, message));
            }
            Err(error) => return Err(error::store(error)),
        }
        let (user, organisation) = self.user_of_claims(provider, &claims, ClaimsOf::SignIn).await?;
        // Refuses disabled users and organisations.
        self.membership(organisation, user).await?;
        Ok(ExternalSignIn { user, organisation, provider: provider.name.clone() })
    }
}
