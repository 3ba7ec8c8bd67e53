//! Identity providers: the issuers of the settings, their tokens, and the users whom they name.
//!
//! `keys` fetches and caches an issuer's keys, `grant` derives a membership from claims, `provision` creates users and
//! keeps their memberships as the claims have them.

mod fetch;
mod fetch_budget;
mod grant;
mod keys;
mod provision;
mod sign_in;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use hearth_auth::{IssuerClaims, IssuerTokenError, TokenUse, UnverifiedToken, issuer};
use hearth_domain::{ScopeSet, Timestamp};
use hearth_settings::IdentityProviderSettings;
use hearth_wire::{ApiError, ErrorCode};

use super::{Access, Caller, Credential};
use crate::audit::Audit;

use keys::IssuerKeyCache;
use provision::ClaimsOf;

/// Seconds after its end for which a token is accepted, since clocks differ.
const CLOCK_SKEW_SECONDS: u64 = 60;

/// The identity providers of the settings.
#[derive(Debug)]
pub(crate) struct Issuers {
    by_issuer: BTreeMap<String, Arc<IdentityProvider>>,
    /// Records the memberships that claims give.
    audit: Arc<Audit>,
}

/// An identity provider.
#[derive(Debug)]
pub(crate) struct IdentityProvider {
    /// The operator's name for it.
    pub(crate) name: String,
    pub(crate) settings: IdentityProviderSettings,
    keys: IssuerKeyCache,
}

impl Issuers {
    /// The issuers of these settings, whose keys are fetched through `http`.
    pub(crate) fn new(
        providers: &BTreeMap<String, IdentityProviderSettings>,
        http: &reqwest::Client,
        audit: Arc<Audit>,
    ) -> Self {
        let provider = |(name, settings): (&String, &IdentityProviderSettings)| {
            let keys = IssuerKeyCache::new(settings, http.clone());
            let provider = IdentityProvider { name: name.clone(), settings: settings.clone(), keys };
            (settings.issuer.clone(), Arc::new(provider))
        };
        Self { by_issuer: providers.iter().map(provider).collect(), audit }
    }

    /// The provider whose token this is, as the token itself says; its signature isn't verified yet.
    pub(crate) fn of_token(&self, token: &str) -> Option<(Arc<IdentityProvider>, UnverifiedToken)> {
        if self.by_issuer.is_empty() {
            return None;
        }
        let token = UnverifiedToken::parse(token)?;
        Some((Arc::clone(self.by_issuer.get(&token.issuer)?), token))
    }

    /// The provider of a name.
    pub(crate) fn of_name(&self, name: &str) -> Option<&Arc<IdentityProvider>> {
        self.by_issuer.values().find(|provider| provider.name == name)
    }

    /// The providers, by name.
    pub(crate) fn list(&self) -> Vec<&IdentityProvider> {
        let mut providers: Vec<&IdentityProvider> = self.by_issuer.values().map(AsRef::as_ref).collect();
        providers.sort_by(|one, other| one.name.cmp(&other.name));
        providers
    }
}

impl IdentityProvider {
    /// Verifies a token of this provider.
    ///
    /// # Errors
    /// `unauthorized` for a token that isn't valid for the use; `issuer_unavailable` if the issuer's keys can't be fetched.
    pub(crate) async fn verify(
        &self,
        token: &str,
        unverified: &UnverifiedToken,
        token_use: TokenUse<'_>,
    ) -> Result<IssuerClaims, ApiError> {
        unverified.algorithm().map_err(|error| self.refused(error))?;
        let keys = self.keys.get(unverified).await.map_err(|error| {
            tracing::warn!(provider = self.name, %error, "the keys of an identity provider can't be fetched");
            let message = format!(
                "the identity provider {:?} can't be reached, so its tokens can't be checked; try again shortly",
                self.name
            );
            ApiError::new(ErrorCode::IssuerUnavailable, message)
        })?;
        issuer::verify(token, &self.settings.issuer, &keys, token_use).map_err(|error| self.refused(error))
    }

    fn refused(&self, error: IssuerTokenError) -> ApiError {
        let message = format!("the token of the identity provider {:?} isn't valid: {error}", self.name);
        ApiError::new(ErrorCode::Unauthorized, message)
    }
}

impl Access {
    /// The caller who sends a token of an identity provider in place of an API token.
    ///
    /// # Errors
    /// `unauthorized` for a token that isn't valid, and for a user whose access was removed; `forbidden` for a user whose
    /// claims give no role; `issuer_unavailable`.
    pub(super) async fn caller_of_issuer(
        &self,
        token: &str,
        provider: &IdentityProvider,
        unverified: &UnverifiedToken,
    ) -> Result<Caller, ApiError> {
        let token_use = TokenUse::Bearer(&provider.settings.audiences);
        let claims = provider.verify(token, unverified, token_use).await?;
        let (user, organisation) = self.user_of_claims(provider, &claims, ClaimsOf::Bearer).await?;
        let membership = self.membership(organisation, user).await?;
        let end = claims.expires_at().saturating_add(CLOCK_SKEW_SECONDS);
        Ok(Caller {
            user,
            organisation,
            role: membership.role,
            teams: membership.teams,
            is_operator: membership.is_operator,
            regions: membership.regions,
            credential: Credential::Issuer,
            scopes: ScopeSet::ALL,
            models: None,
            record_hash: None,
            expires_at: Some(Timestamp::from_unix(i64::try_from(end).unwrap_or(i64::MAX))),
        })
    }
}
