//! Polls a vendor's balance.

use std::time::Duration;

use hearth_wire::{ApiError, ErrorCode};

use crate::HttpProvider;

/// Timeout for one request for the balance.
const BALANCE_TIMEOUT: Duration = Duration::from_secs(15);

impl HttpProvider {
    /// Returns whether the vendor has an API that reports the balance.
    #[must_use]
    pub fn reports_balance(&self) -> bool {
        !self.endpoint().vendor.balance.is_empty()
    }

    /// Requests the balance from the vendor, if it reports one, and records it.
    ///
    /// # Errors
    /// As for a generation.
    pub async fn poll_balance(&self) -> Result<(), ApiError> {
        for api in self.endpoint().vendor.balance {
            let response = tokio::time::timeout(BALANCE_TIMEOUT, self.get_json(api.path)).await;
            let response = response.map_err(|_| {
                let name = &self.endpoint().name;
                let message = format!(
                    "the provider {name} didn't report its balance within {} s",
                    BALANCE_TIMEOUT.as_secs()
                );
                ApiError::new(ErrorCode::ProviderTimeout, message)
            })?;
            if let Some(reading) = (api.read)(&response?) {
                self.record_balance(reading);
                return Ok(());
            }
        }
        Ok(())
    }
}
