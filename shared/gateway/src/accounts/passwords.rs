//! Hashes and verifies passwords off the async threads, a few at once.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use hearth_auth::password::{self, PasswordError};
use hearth_domain::Secret;
use hearth_wire::{ApiError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error;

/// Limit of computations at once, each of 19 MiB. With more they would only wait for a processor.
const COMPUTATIONS_MAX_COUNT: usize = 4;
/// Limit of requests that wait for a computation. Further ones are refused at once.
const WAITING_MAX_COUNT: usize = 64;

/// Hashes and verifies passwords.
#[derive(Debug)]
pub struct Passwords {
    computing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Number of hashes that were computed.
    computed: AtomicU64,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let computing = Arc::new(Semaphore::new(cores.min(COMPUTATIONS_MAX_COUNT)));
        Self { computing, waiting: Arc::new(Semaphore::new(WAITING_MAX_COUNT)), computed: AtomicU64::new(0) }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// `invalid_request` at `password` if it is too short or too long; `overloaded` if too many are waiting.
    #[crate::boxed_future]
    pub async fn hash(&self, password: &Secret) -> Result<String, ApiError> {
        password::check_new(password).map_err(|error| ApiError::invalid("password", error.to_string()))?;
        self.rehash(password).await
    }

    /// Hashes a valid password of any length.
    pub(crate) async fn rehash(&self, password: &Secret) -> Result<String, ApiError> {
        let password = password.clone();
        let hash = self.compute(move || password::hash(&password)).await?;
        hash.map_err(|error: PasswordError| error::internal(&error))
    }

    /// Returns whether `hash` is this password's. Without a hash it computes as much, and returns false.
    ///
    /// # Errors
    /// `overloaded` if too many are waiting.
    #[crate::boxed_future]
    pub async fn verify(&self, password: &Secret, hash: Option<String>) -> Result<bool, ApiError> {
        let password = password.clone();
        self.compute(move || password::verify(&password, hash.as_deref())).await
    }

    /// Number of hashes that were computed.
    #[must_use]
    pub fn computed_count(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = self.permit().await?;
        // The permit is released when the computation ends, even if the request is gone.
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        let result = task.await.map_err(|error| error::internal(&error))?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        Ok(result)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let _waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| overloaded())?;
        Arc::clone(&self.computing).acquire_owned().await.map_err(|error| error::internal(&error))
    }
}

fn overloaded() -> ApiError {
    let message = "too many passwords are being verified; try again shortly";
    ApiError::new(ErrorCode::Overloaded, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_verification_computes_a_hash() {
        let passwords = Passwords::new();
        let password = Secret::new("correct horse battery staple");
        let hash = passwords.hash(&password).await.unwrap();
        for (hash, expected) in [
            (Some(hash), true),
            (None, false),
            (Some(String::new()), false),
            (Some("$2b$1".to_owned()), false),
        ] {
            let before = passwords.computed_count();
            assert_eq!(passwords.verify(&password, hash.clone()).await.unwrap(), expected, "{hash:?}");
            assert_eq!(passwords.computed_count(), before + 1, "{hash:?}");
        }
    }

    #[tokio::test]
    async fn short_password_is_refused_before_it_is_hashed() {
        let passwords = Passwords::new();
        let error = passwords.hash(&Secret::new("short")).await.unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("password")));
        assert_eq!(passwords.computed_count(), 0);
    }

    #[tokio::test]
    async fn request_above_the_limit_of_waiting_ones_is_refused() {
        let passwords = Passwords::new();
        let _all = Arc::clone(&passwords.waiting).try_acquire_many_owned(64).unwrap();
        let error = passwords.verify(&Secret::new("any password"), None).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Overloaded);
    }
}
