//! Credentials of a person, for commands on a cloud's stores.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result, SharedCredentialsProvider, future},
};

/// Remaining validity below which credentials are renewed.
const RENEWAL_GRACE: Duration = Duration::from_secs(300);
/// Parts of the SDK's messages for a missing or expired login by SSO. Its types for these errors are private.
const SSO_LOGIN_MESSAGES: [&str; 3] = ["SSO token", "sso/cache", "UnauthorizedException"];

/// A reason why the AWS environment can't be used, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is no region.
    #[error("no AWS region is set; set AWS_REGION, or `region` in the profile that AWS_PROFILE names")]
    NoRegion,
    /// The profile is one of SSO without a valid login.
    #[error(
        "the AWS profile needs a login by SSO: run `aws sso login`, with `--profile` unless it is the default ({0})"
    )]
    SsoLogin(String),
    /// There are none, or the profile's program failed.
    #[error(
        "there are no AWS credentials ({0}); set AWS_PROFILE to a profile of the AWS CLI, or AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY"
    )]
    Missing(String),
}

/// Checks that there is a region, and gets credentials. The clients of the returned configuration use these until they expire:
/// a profile's program may ask its user for a code.
pub(crate) async fn resolve(config: SdkConfig) -> std::result::Result<SdkConfig, CredentialsError> {
    if config.region().is_none() {
        return Err(CredentialsError::NoRegion);
    }
    let Some(provider) = config.credentials_provider() else {
        return Err(CredentialsError::Missing("none are configured".to_owned()));
    };
    let first = provider.provide_credentials().await.map_err(|error| explain(&error))?;
    let resolved = SharedCredentialsProvider::new(Resolved { first, provider });
    Ok(config.into_builder().credentials_provider(resolved).build())
}

/// Credentials, and their provider for when they expire.
#[derive(Debug)]
struct Resolved {
    first: Credentials,
    provider: SharedCredentialsProvider,
}

impl Resolved {
    async fn current(&self) -> Result {
        let is_fresh = self.first.expiry().is_none_or(|end| end > SystemTime::now() + RENEWAL_GRACE);
        if is_fresh { Ok(self.first.clone()) } else { self.provider.provide_credentials().await }
    }
}

impl ProvideCredentials for Resolved {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

fn explain(error: &(dyn Error + 'static)) -> CredentialsError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    if SSO_LOGIN_MESSAGES.iter().any(|message| reason.contains(message)) {
        CredentialsError::SsoLogin(reason)
    } else {
        CredentialsError::Missing(reason)
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError as SdkError;

    use super::*;

    #[test]
    fn only_a_missing_or_expired_sso_token_needs_a_login() {
        for message in [
            "failed to load the cached SSO token",
            "the SSO token has expired and cannot be refreshed",
            "missing field `accessToken` in cached SSO token file",
            "failed to read `~/.aws/sso/cache/0a.json`",
            "service error: UnauthorizedException: Session token not found or invalid",
        ] {
            let error = explain(&SdkError::provider_error(message));
            assert!(matches!(error, CredentialsError::SsoLogin(_)), "{error}");
        }
        for message in [
            "no credentials are associated with the role",
            "AWSReservedSSO_Admin_1 is not authorized to perform: sts:AssumeRole",
            "sso-session named `company` (referenced by profile `work`) was not found",
        ] {
            let error = explain(&SdkError::provider_error(message));
            assert!(matches!(error, CredentialsError::Missing(_)), "{error}");
        }
    }
}
