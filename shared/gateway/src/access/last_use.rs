//! The last use of API tokens and access keys, recorded once an hour.

use std::{collections::HashMap, time::Duration};

use hearth_domain::{Timestamp, UserId};
use hearth_wire::ApiError;

use super::{Access, Credential};
use crate::error;

/// Interval of the records of a credential's use, in each process.
pub(super) const USE_RECORD_INTERVAL: Duration = Duration::from_secs(3600);

impl Access {
    /// Records that a credential was read, if this process hasn't within the hour. At home nothing waits for the write; in the
    /// cloud, where the process may be frozen after the response, it is part of the first request with the credential.
    pub(super) async fn record_use(&self, user: UserId, credential: Credential) {
        if self.recorded_uses.get(&credential).is_some() {
            return;
        }
        self.recorded_uses.put(credential, ());
        let store = self.store.clone();
        let write = async move {
            let uses = store.credential_uses();
            if let Err(error) = uses.put(user, &credential.to_string(), Timestamp::now()).await {
                tracing::warn!(%credential, %error, "the last use of a credential can't be stored");
            }
        };
        self.background.spawn_or_wait(write).await;
    }

    /// The last uses of a user's credentials, by the credentials' ids.
    pub(super) async fn uses_of(&self, user: UserId) -> Result<HashMap<String, Timestamp>, ApiError> {
        self.store.credential_uses().of(user).await.map_err(error::store)
    }
}
