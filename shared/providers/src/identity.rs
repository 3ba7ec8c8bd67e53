//! The AWS credentials of the process itself, such as those of a Lambda function's role.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use tokio::sync::Mutex;

/// Credentials are replaced this long before they expire.
const EXPIRY_GRACE: Duration = Duration::from_secs(300);

/// The AWS credentials of the process. Clones share them.
#[derive(Clone)]
pub(crate) struct ProcessIdentity(Arc<Inner>);

struct Inner {
    provider: SharedCredentialsProvider,
    /// The latest ones. The lock is held while they are replaced, so that there is one call at a time.
    latest: Mutex<Option<Credentials>>,
}

impl fmt::Debug for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessIdentity")
    }
}

impl ProcessIdentity {
    pub(crate) fn new(provider: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Inner { provider, latest: Mutex::default() }))
    }

    /// Credentials that are valid at `now` and for a while after.
    ///
    /// # Errors
    /// The reason why there are none.
    pub(crate) async fn credentials(&self, now: SystemTime) -> Result<Credentials, String> {
        let mut latest = self.0.latest.lock().await;
        let is_valid = |credentials: &&Credentials| {
            credentials.expiry().is_none_or(|expiry| now + EXPIRY_GRACE < expiry)
        };
        if let Some(credentials) = latest.as_ref().filter(is_valid) {
            return Ok(credentials.clone());
        }
        let new = self.0.provider.provide_credentials().await.map_err(|error| error.to_string())?;
        Ok(latest.insert(new).clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::provider::{self, ProvideCredentials, future};

    use super::*;

    /// Provides credentials that are valid for an hour, each with the next number.
    #[derive(Debug)]
    struct Numbered(AtomicU32);

    fn time(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let expiry = time(3600 * u64::from(number + 1));
            let id = format!("AKID{number}");
            future::ProvideCredentials::ready(Ok(Credentials::new(id, "s", None, Some(expiry), "test")))
        }
    }

    #[derive(Debug)]
    struct Nobody;

    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(provider::error::CredentialsError::not_loaded("none here")))
        }
    }

    #[tokio::test]
    async fn credentials_are_replaced_before_they_expire() {
        let identity = ProcessIdentity::new(SharedCredentialsProvider::new(Numbered(AtomicU32::new(0))));
        for (now, expected) in
            [(0, "AKID0"), (3299, "AKID0"), (3301, "AKID1"), (3700, "AKID1"), (7000, "AKID2")]
        {
            let credentials = identity.credentials(time(now)).await.unwrap();
            assert_eq!(credentials.access_key_id(), expected, "{now}");
        }
    }

    #[tokio::test]
    async fn missing_credentials_are_an_error() {
        let identity = ProcessIdentity::new(SharedCredentialsProvider::new(Nobody));
        identity.credentials(time(0)).await.unwrap_err();
    }
}
