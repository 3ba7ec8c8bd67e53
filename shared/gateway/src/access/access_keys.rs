//! Access keys, which run named local models and do nothing else.

use hearth_auth::AccessKey;
use hearth_domain::{AccessKeyId, ModelLimits, Owner, Timestamp};
use hearth_store::access_keys::AccessKeyRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::tokens::{AccessKeyBody, CreateAccessKey},
};

use super::{
    Access, Caller, Credential,
    token_rules::{check_models, check_name, end_for, require_models},
};
use crate::error;

/// Prefix of the patterns of nodes' models.
const LOCAL_PREFIX: &str = "local:";

impl Access {
    /// Creates an access key for the caller. Its text is in the response, and nowhere else.
    ///
    /// # Errors
    /// `invalid_request`; `forbidden` for a model that the caller may not use, and for an end after the caller's.
    #[crate::boxed_future]
    pub async fn create_access_key(
        &self,
        caller: &Caller,
        request: CreateAccessKey,
    ) -> Result<(AccessKey, AccessKeyRecord), ApiError> {
        check_name(&request.name)?;
        check_models(&request.models)?;
        let models = request.models.into_iter().map(|model| match model.strip_prefix(LOCAL_PREFIX) {
            Some(id) => id.to_owned(),
            None => model,
        });
        let models: Vec<String> = models.collect();
        if models.iter().any(|model| model.contains('*')) {
            let message =
                "models must be ids of local models, without *; GET /v1/models?provider=local lists them";
            return Err(ApiError::invalid("models", message));
        }
        require_models(caller, &limits_of(&models))?;
        let expires_at = end_for(caller, request.expires_in_days)?;
        let key = AccessKey::generate();
        let record = AccessKeyRecord {
            id: AccessKeyId::new(),
            hash: key.hash(),
            owner: caller.user,
            organisation: caller.organisation,
            name: request.name,
            prefix: key.prefix().to_owned(),
            models,
            created_at: Timestamp::now(),
            expires_at,
            revoked_at: None,
        };
        self.store.access_keys().create(&record).await.map_err(error::store)?;
        Ok((key, record))
    }

    /// An owner's access keys, oldest first: of the user in the organisation.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_access_keys(&self, owner: Owner) -> Result<Vec<AccessKeyBody>, ApiError> {
        let (keys, uses) = (self.access_keys_of(owner), self.uses_of(owner.user));
        let (keys, uses) = tokio::try_join!(keys, uses)?;
        let body = |key: AccessKeyRecord| {
            let last_used_at = uses.get(&key.id.to_string()).map(ToString::to_string);
            AccessKeyBody { last_used_at, ..access_key_body(key) }
        };
        Ok(keys.into_iter().map(body).collect())
    }

    /// Revokes an access key of an owner. In this process that has effect at once.
    ///
    /// # Errors
    /// `not_found` if the owner has no such key.
    #[crate::boxed_future]
    pub async fn revoke_access_key_of(&self, owner: Owner, id: AccessKeyId) -> Result<(), ApiError> {
        let keys = self.access_keys_of(owner).await?;
        let key = keys
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no access key with this id"))?;
        self.revoke_key(key).await
    }

    /// Revokes all access keys of an owner.
    pub(super) async fn revoke_access_keys_of(&self, owner: Owner) -> Result<(), ApiError> {
        for key in self.access_keys_of(owner).await? {
            self.revoke_key(&key).await?;
        }
        Ok(())
    }

    async fn revoke_key(&self, key: &AccessKeyRecord) -> Result<(), ApiError> {
        self.store.access_keys().revoke(key, Timestamp::now()).await.map_err(error::store)?;
        self.end_credential(Credential::AccessKey(key.id));
        Ok(())
    }

    async fn access_keys_of(&self, owner: Owner) -> Result<Vec<AccessKeyRecord>, ApiError> {
        let mut keys = self.store.access_keys().of(owner.user).await.map_err(error::store)?;
        keys.retain(|key| key.organisation == owner.organisation);
        Ok(keys)
    }
}

/// The limits that allow these local models alone.
pub(super) fn limits_of(models: &[String]) -> ModelLimits {
    ModelLimits::new(models.iter().map(|model| format!("{LOCAL_PREFIX}{model}")).collect())
}

/// An access key's record as its owner sees it, without its last use.
#[must_use]
pub fn access_key_body(record: AccessKeyRecord) -> AccessKeyBody {
    AccessKeyBody {
        id: record.id.to_string(),
        name: record.name,
        prefix: record.prefix,
        models: record.models,
        created_at: record.created_at.to_string(),
        expires_at: record.expires_at.map(|at| at.to_string()),
        revoked_at: record.revoked_at.map(|at| at.to_string()),
        last_used_at: None,
    }
}
