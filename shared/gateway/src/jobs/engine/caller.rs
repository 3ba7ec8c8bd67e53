//! The caller as whom a job acts: stored when it is submitted, read again at each slice.

use std::sync::Arc;

use hearth_domain::{JobError, JobErrorCode, MemberRole, ModelLimits, Owner, ScopeSet, Timestamp};
use hearth_wire::{ApiError, ErrorCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{Access, Caller, Credential};

/// The credential of a job, with its limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JobCaller {
    credential: Credential,
    scopes: ScopeSet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    models: Option<ModelLimits>,
    /// The hash under which the credential's record is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl JobCaller {
    /// The stored form of a caller.
    pub(super) fn store(caller: &Caller) -> Option<Value> {
        let caller = Self {
            credential: caller.credential,
            scopes: caller.scopes,
            models: caller.models.as_deref().cloned(),
            record_hash: caller.record_hash.as_deref().map(ToOwned::to_owned),
            expires_at: caller.expires_at,
        };
        serde_json::to_value(caller).ok()
    }

    /// The caller with the role, the teams and the limits of now. A token or an access key must still be valid. A login or a
    /// token of an identity provider is short, and a job outlives it: then the membership alone counts.
    ///
    /// # Errors
    /// `forbidden` if the credential has ended, or the owner is no member any longer; `internal` if the store fails.
    pub(super) async fn restore(
        stored: Option<&Value>,
        owner: Owner,
        access: &Access,
    ) -> Result<Caller, ApiError> {
        let stored = stored.ok_or_else(|| ApiError::new(ErrorCode::Internal, "the job has no caller"))?;
        let stored: Self = serde_json::from_value(stored.clone()).map_err(|error| {
            tracing::error!(%error, "the caller of a job can't be read");
            ApiError::new(ErrorCode::Internal, "the caller of the job can't be read")
        })?;
        let has_record = matches!(stored.credential, Credential::Token(_) | Credential::AccessKey(_));
        let caller = Caller {
            user: owner.user,
            organisation: owner.organisation,
            role: MemberRole::Viewer,
            teams: Arc::default(),
            is_operator: false,
            regions: Arc::default(),
            credential: if has_record { stored.credential } else { Credential::Issuer },
            scopes: stored.scopes,
            models: stored.models.map(Arc::new),
            record_hash: stored.record_hash.map(Into::into),
            expires_at: stored.expires_at.filter(|_| has_record),
        };
        access.renew(&caller).await.map_err(|error| match error.code {
            ErrorCode::Unauthorized => ApiError::new(
                ErrorCode::Forbidden,
                "the credential that submitted the job has ended, or its owner is no member of the organisation any longer",
            ),
            _ => error,
        })
    }
}

/// The error of a job whose input has another form than its kind's.
pub(super) fn unreadable_input(error: &serde_json::Error) -> JobError {
    JobError::new(JobErrorCode::InvalidInput, format!("the input of the job can't be read: {error}"))
}
