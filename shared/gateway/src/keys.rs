//! Keys that are derived from the gateway's secret.

use hearth_auth::Keys;
use hearth_store::{NewSecret, Store};
use hearth_wire::ApiError;
use tokio::sync::OnceCell;

use crate::error;

/// The gateway's keys. The secret is read at the first use: a function that needs no keys starts without it.
#[derive(Debug)]
pub(crate) struct GatewayKeys {
    store: Store,
    new_secret: Option<NewSecret>,
    keys: OnceCell<Keys>,
}

impl GatewayKeys {
    /// `new_secret` creates the secret where the store has none.
    pub(crate) fn new(store: Store, new_secret: Option<NewSecret>) -> Self {
        Self { store, new_secret, keys: OnceCell::new() }
    }

    /// Keys of a new secret.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let keys = Keys::derive(&Keys::generate_secret()).unwrap();
        Self { store: Store::unconnected(), new_secret: None, keys: OnceCell::new_with(Some(keys)) }
    }

    /// The keys.
    ///
    /// # Errors
    /// `internal` if the secret can't be read.
    pub(crate) async fn get(&self) -> Result<&Keys, ApiError> {
        let derive = || async {
            let secret = self.store.secret(self.new_secret).await.map_err(error::store)?;
            Keys::derive(&secret).map_err(|e| error::internal(&e))
        };
        self.keys.get_or_try_init(derive).await
    }
}
