//! The quotas of what a store holds, by the settings.

use hearth_settings::GatewaySettings;
use hearth_store::quota::{Quota, Quotas, StoreQuotas};

/// The quotas of sessions and of stored requests. Those of files are applied where a file is completed.
pub(crate) fn store_quotas(settings: &GatewaySettings) -> StoreQuotas {
    let (sessions, requests) = (&settings.sessions, &settings.requests);
    let quota = |max_bytes, max_count| Quota { max_bytes, max_count };
    StoreQuotas {
        sessions: Quotas {
            user: quota(sessions.user_max_bytes.as_u64(), sessions.user_max_count),
            organisation: quota(sessions.organisation_max_bytes.as_u64(), sessions.organisation_max_count),
        },
        requests: Quotas {
            user: quota(requests.user_max_bytes.as_u64(), requests.user_max_count),
            organisation: quota(requests.organisation_max_bytes.as_u64(), requests.organisation_max_count),
        },
    }
}
