//! Credentials of a person, for commands on a cloud's stores.

use std::error::Error;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;

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

/// Checks that there is a region, and that credentials can be had.
pub(crate) async fn check(config: &SdkConfig) -> Result<(), CredentialsError> {
    if config.region().is_none() {
        return Err(CredentialsError::NoRegion);
    }
    let Some(provider) = config.credentials_provider() else {
        return Err(CredentialsError::Missing("none are configured".to_owned()));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(&error)),
    }
}

fn explain(error: &(dyn Error + 'static)) -> CredentialsError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    if reason.to_lowercase().contains("sso") {
        CredentialsError::SsoLogin(reason)
    } else {
        CredentialsError::Missing(reason)
    }
}
