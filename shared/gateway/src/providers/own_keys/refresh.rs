//! Access tokens: refreshed once for all processes, by a lease in the credential's record.

use std::time::Duration;

use hearth_domain::{Secret, Timestamp};
use hearth_providers::{ServiceAccount, TokenAnswer, request_token};
use hearth_store::{StoreError, provider_credentials::CredentialRecord};
use hearth_wire::{ApiError, ErrorCode};

use super::{
    accounts::{Accounts, REFRESH_GRACE, locked},
    secret::{CredentialSecret, OauthToken, RefreshToken, SecretParts},
};
use crate::error;

/// Time for which a process has the lease of a refresh: longer than a token endpoint may take.
const LEASE_TTL: Duration = Duration::from_secs(20);
/// Interval between two reads of a record that another process refreshes.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Life of an access token whose endpoint doesn't say it.
const DEFAULT_TOKEN_TTL: Duration = Duration::from_secs(3600);

impl Accounts {
    /// The access token of a credential, and its end.
    ///
    /// # Errors
    /// `provider_auth` if the token endpoint refuses the credential; the errors of [`request_token`] and of the store.
    pub(super) async fn access_token(
        &self,
        record: &CredentialRecord,
        secret: &CredentialSecret,
    ) -> Result<(Secret, Option<Timestamp>), ApiError> {
        match &secret.parts {
            SecretParts::ApiKey { .. } => Err(locked(record, "it has no access token")),
            SecretParts::ServiceAccount { file, scope } => {
                let account = ServiceAccount::parse(file)?;
                self.check_token_url(record, &account.token_uri)?;
                let form = account.form(scope.as_deref(), Timestamp::now())?;
                let answer = request_token(self.token_client(), &account.token_uri, &form).await?;
                let end = end_of(&answer);
                Ok((answer.access_token, Some(end)))
            }
            SecretParts::OauthToken(token) if is_fresh(token.expires_at) => {
                Ok((token.access_token.clone(), token.expires_at))
            }
            SecretParts::OauthToken(OauthToken { refresh: None, .. }) => Err(locked(
                record,
                "its access token has ended, and it has no refresh token; store a new one",
            )),
            SecretParts::OauthToken(_) => self.refresh(record).await,
        }
    }

    /// Refreshes the stored access token, or waits for the process that does.
    async fn refresh(&self, record: &CredentialRecord) -> Result<(Secret, Option<Timestamp>), ApiError> {
        let credentials = self.store.provider_credentials();
        let deadline = tokio::time::Instant::now() + LEASE_TTL;
        loop {
            // The record of the request may be ten seconds old.
            let latest = credentials.get(record.owner, record.id).await.map_err(error::store)?;
            let latest = latest.ok_or_else(|| locked(record, "it was deleted"))?;
            let secret = self.read(&latest).await?;
            let SecretParts::OauthToken(token) = &secret.parts else {
                return Err(locked(record, "it was changed"));
            };
            let Some(refresh) = token.refresh.as_ref().filter(|_| !is_fresh(token.expires_at)) else {
                return Ok((token.access_token.clone(), token.expires_at));
            };
            if !is_leased(&latest.lease) {
                let lease = new_lease();
                match credentials.begin_refresh(&latest, &lease).await {
                    Ok(()) => return self.refresh_under_lease(&latest, &secret, refresh, &lease).await,
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error::store(error)),
                }
            }
            if tokio::time::Instant::now() >= deadline {
                let message = "another process refreshes the access token, and hasn't ended; try again";
                return Err(ApiError::new(ErrorCode::ProviderTimeout, message));
            }
            tokio::time::sleep(LEASE_POLL_INTERVAL).await;
        }
    }

    async fn refresh_under_lease(
        &self,
        record: &CredentialRecord,
        secret: &CredentialSecret,
        refresh: &RefreshToken,
        lease: &str,
    ) -> Result<(Secret, Option<Timestamp>), ApiError> {
        let credentials = self.store.provider_credentials();
        let answer = match self.request_refresh(record, refresh).await {
            Ok(answer) => answer,
            Err(error) => {
                // A lease that isn't given back ends by itself.
                let _ = credentials.abort_refresh(record, lease).await;
                return Err(error);
            }
        };
        let expires_at = Some(end_of(&answer));
        let token = answer.refresh_token.unwrap_or_else(|| refresh.token.clone());
        let refresh = Some(RefreshToken { token, ..refresh.clone() });
        let parts = SecretParts::OauthToken(OauthToken {
            access_token: answer.access_token.clone(),
            expires_at,
            refresh,
        });
        let refreshed = CredentialSecret { parts, ..secret.clone() };
        let sealed = self.store.seal(&record.context(), &refreshed.to_secret()).await;
        let stored = match sealed {
            Ok(sealed) => credentials.end_refresh(record, lease, sealed, expires_at).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            // The token serves this process; a rotated refresh token may be lost.
            tracing::error!(credential = %record.id, %error, "a refreshed access token can't be stored");
        }
        Ok((answer.access_token, expires_at))
    }

    async fn request_refresh(
        &self,
        record: &CredentialRecord,
        refresh: &RefreshToken,
    ) -> Result<TokenAnswer, ApiError> {
        self.check_token_url(record, &refresh.token_url)?;
        let mut form =
            vec![("grant_type", Secret::new("refresh_token")), ("refresh_token", refresh.token.clone())];
        form.extend(refresh.client_id.as_ref().map(|id| ("client_id", Secret::new(id))));
        form.extend(refresh.client_secret.clone().map(|secret| ("client_secret", secret)));
        form.extend(refresh.scope.as_ref().map(|scope| ("scope", Secret::new(scope))));
        request_token(self.token_client(), &refresh.token_url, &form).await
    }

    fn check_token_url(&self, record: &CredentialRecord, url: &str) -> Result<(), ApiError> {
        self.check_address("token_url", url).map_err(|error| locked(record, &error.message))
    }
}

fn is_fresh(expires_at: Option<Timestamp>) -> bool {
    expires_at.is_none_or(|at| Timestamp::now().plus(REFRESH_GRACE) < at)
}

fn end_of(answer: &TokenAnswer) -> Timestamp {
    Timestamp::now().plus(answer.expires_in.map_or(DEFAULT_TOKEN_TTL, Duration::from_secs))
}

/// A lease: its end in seconds since 1970, and a part that no other lease has.
fn new_lease() -> String {
    format!("{} {}", Timestamp::now().plus(LEASE_TTL).unix(), hearth_domain::CredentialId::new())
}

fn is_leased(lease: &str) -> bool {
    let end = lease.split(' ').next().and_then(|end| end.parse::<i64>().ok());
    end.is_some_and(|end| Timestamp::now().unix() < end)
}
