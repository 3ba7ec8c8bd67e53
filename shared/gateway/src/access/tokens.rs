//! API tokens: created, listed, renamed, rotated and revoked.

use std::time::Duration;

use hearth_auth::ApiToken;
use hearth_domain::{ModelLimits, Owner, Scope, Timestamp, TokenId, UserId};
use hearth_store::{StoreError, tokens::TokenRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    native::tokens::{CreateToken, TokenBody},
};

pub use super::token_rules::{COMMANDS_TOKEN_NAME, check_models, end_after};
use super::{
    Access, Caller, Credential,
    token_rules::{check_name, end_for, is_last_full, models_for, require_narrower},
};
use crate::error;

/// Longest time for which a text that was replaced is valid.
const GRACE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A token to issue.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its owner, and the organisation in which they act with it.
    pub owner: Owner,
    /// Its purpose.
    pub name: String,
    /// The permissions that it grants.
    pub scopes: Vec<Scope>,
    /// The models that it may use; none for all.
    pub models: Option<ModelLimits>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl NewToken {
    /// A token of the gateway's operator, with every scope and model, that never ends.
    #[must_use]
    pub fn of_operator(operator: UserId, name: &str) -> Self {
        let (owner, name) = (Owner::of_record(operator, None), name.to_owned());
        Self { owner, name, scopes: Scope::ALL.to_vec(), models: None, expires_at: None }
    }
}

impl Access {
    /// Creates a token for the caller. Its text is in the response, and nowhere else. It ends when the caller's token
    /// does, unless `request` says sooner, and may use the caller's models, unless `request` names fewer.
    ///
    /// # Errors
    /// `invalid_request`; `forbidden` for a scope or a model that the caller lacks, and for an end after the caller's.
    #[crate::boxed_future]
    pub async fn create_token(
        &self,
        caller: &Caller,
        request: CreateToken,
    ) -> Result<(ApiToken, TokenRecord), ApiError> {
        let scopes = request.scopes.unwrap_or_else(|| Scope::DEFAULT.to_vec());
        for scope in &scopes {
            caller.require_scope(*scope)?;
        }
        let expires_at = end_for(caller, request.expires_in_days)?;
        let models = models_for(caller, request.models)?;
        let (owner, name) = (caller.owner(), request.name);
        self.issue_token(NewToken { owner, name, scopes, models, expires_at }).await
    }

    /// Creates a token without a caller's one: for the operator of the data itself.
    ///
    /// # Errors
    /// `invalid_request` for a bad name, or no scope.
    #[crate::boxed_future]
    pub async fn issue_token(&self, new: NewToken) -> Result<(ApiToken, TokenRecord), ApiError> {
        check_name(&new.name)?;
        // Each scope once, in one order.
        let scopes: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| new.scopes.contains(scope)).collect();
        if scopes.is_empty() {
            return Err(ApiError::invalid("scopes", "a token needs at least one scope"));
        }
        let token = ApiToken::generate();
        let record = TokenRecord {
            name: new.name,
            prefix: token.prefix().to_owned(),
            scopes,
            models: new.models,
            expires_at: new.expires_at,
            ..TokenRecord::new(token.hash(), new.owner)
        };
        self.store.tokens().create(&record).await.map_err(error::store)?;
        Ok((token, record))
    }

    /// An owner's tokens, oldest first: of the user in the organisation.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_tokens(&self, owner: Owner) -> Result<Vec<TokenBody>, ApiError> {
        let (tokens, uses) = (self.tokens_of(owner), self.uses_of(owner.user));
        let (tokens, uses) = tokio::try_join!(tokens, uses)?;
        let body = |token: TokenRecord| {
            let last_used_at = uses.get(&token.id.to_string()).map(ToString::to_string);
            TokenBody { last_used_at, ..token_body(token) }
        };
        Ok(tokens.into_iter().map(body).collect())
    }

    async fn tokens_of(&self, owner: Owner) -> Result<Vec<TokenRecord>, ApiError> {
        let mut tokens = self.store.tokens().of(owner.user).await.map_err(error::store)?;
        tokens.retain(|token| token.organisation == owner.organisation);
        Ok(tokens)
    }

    /// Has this process refuse to rename, rotate or revoke the token for a caller: it is that of the commands on this machine,
    /// which read it from a file and would have none.
    pub fn keep_for_commands(&self, id: TokenId) {
        // A process issues one such token.
        let _ = self.commands_token.set(id);
    }

    /// Checks that the token isn't that of the commands on this machine.
    ///
    /// # Errors
    /// `conflict`.
    pub(crate) fn require_not_of_commands(&self, id: TokenId) -> Result<(), ApiError> {
        if self.commands_token.get() != Some(&id) {
            return Ok(());
        }
        let message = format!(
            "the token {id} is that of the `hearth` commands on the gateway's machine, which would have none without it; each start \
             of the gateway makes a new one: to replace it, restart `hearth up`"
        );
        Err(ApiError::new(ErrorCode::Conflict, message))
    }

    /// Changes the name of a token of the caller's user.
    ///
    /// # Errors
    /// `not_found` if the user has no such token; `invalid_request` for a bad name; as [`Access::revoke_token`] for one that the
    /// caller couldn't have created, or of the commands on this machine.
    #[crate::boxed_future]
    pub async fn rename_token(
        &self,
        caller: &Caller,
        id: TokenId,
        name: &str,
    ) -> Result<TokenRecord, ApiError> {
        check_name(name)?;
        let token = find(&self.tokens_of(caller.owner()).await?, id)?;
        require_narrower(caller, &token)?;
        self.require_not_of_commands(id)?;
        self.store.tokens().rename(&token, name).await.map_err(changed_meanwhile)?;
        Ok(TokenRecord { name: name.to_owned(), ..token })
    }

    /// Replaces the text of a token of the caller's user. The old text is valid for `grace` yet.
    ///
    /// # Errors
    /// `not_found` if the user has no such token, or it is no longer valid; `invalid_request` for a grace above 7 days; as
    /// [`Access::revoke_token`] for one that the caller couldn't have created, or of the commands on this machine.
    #[crate::boxed_future]
    pub async fn rotate_token(
        &self,
        caller: &Caller,
        id: TokenId,
        grace: Duration,
    ) -> Result<(ApiToken, TokenRecord), ApiError> {
        if grace > GRACE_MAX {
            let message = format!("grace_seconds must be 0 to {}", GRACE_MAX.as_secs());
            return Err(ApiError::invalid("grace_seconds", message));
        }
        let now = Timestamp::now();
        let token = find(&self.tokens_of(caller.owner()).await?, id)?;
        if !token.is_valid(now) {
            return Err(no_such_token());
        }
        require_narrower(caller, &token)?;
        self.require_not_of_commands(id)?;
        let text = ApiToken::generate();
        let rotated = TokenRecord {
            hash: text.hash(),
            prefix: text.prefix().to_owned(),
            rotated_at: Some(now),
            ..token.clone()
        };
        let grace_ends_at = (!grace.is_zero()).then(|| now.plus(grace));
        self.store.tokens().rotate(&token, &rotated, grace_ends_at).await.map_err(changed_meanwhile)?;
        if grace.is_zero() {
            self.end_runs(Credential::Token(id));
        } else {
            self.forget_credential(Credential::Token(id));
        }
        Ok((text, rotated))
    }

    /// Revokes a token of the caller's user: the caller's own, or one that the caller could have created.
    ///
    /// # Errors
    /// `not_found` if the user has no such token; `forbidden` if it may do more than the caller, or ends later;
    /// `conflict` if no other token with every scope would be left for as long, and for the token of the commands on this machine.
    #[crate::boxed_future]
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<(), ApiError> {
        // Of two requests that revoke the last two tokens at the same time, one sees the other's change.
        let _revoking = self.revoking.lock().await;
        let tokens = self.tokens_of(caller.owner()).await?;
        let token = find(&tokens, id)?;
        require_narrower(caller, &token)?;
        self.require_not_of_commands(id)?;
        if is_last_full(&token, &tokens, Timestamp::now()) && !self.has_sign_in(caller.user).await? {
            let message = format!(
                "the token {id} is the last one that has every scope, and its owner has no password to sign in with: \
                 nothing could be managed without it; make another one with every scope first"
            );
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.revoke_record(&token).await
    }

    /// Revokes a user's token without a caller's token: for the operator of the data itself.
    ///
    /// # Errors
    /// `not_found` if the user has no such token.
    #[crate::boxed_future]
    pub async fn revoke_token_of(&self, owner: Owner, id: TokenId) -> Result<(), ApiError> {
        let token = find(&self.tokens_of(owner).await?, id)?;
        self.revoke_record(&token).await
    }

    /// Revokes a token. In this process that has effect at once.
    pub(crate) async fn revoke_record(&self, token: &TokenRecord) -> Result<(), ApiError> {
        self.store.tokens().revoke(token, Timestamp::now()).await.map_err(changed_meanwhile)?;
        self.end_credential(Credential::Token(token.id));
        Ok(())
    }

    /// Revokes all tokens and access keys of an owner, as after the end of a membership.
    ///
    /// # Errors
    /// `internal` if the store fails: then some may be left.
    pub(crate) async fn revoke_all_of(&self, owner: Owner) -> Result<(), ApiError> {
        for token in self.tokens_of(owner).await? {
            self.revoke_record(&token).await?;
        }
        self.revoke_access_keys_of(owner).await
    }

    /// True if the user can sign in without a token.
    async fn has_sign_in(&self, user: UserId) -> Result<bool, ApiError> {
        let profile = self.store.users().get(user).await.map_err(error::store)?;
        Ok(profile.is_some_and(|profile| profile.password_hash.is_some()))
    }
}

fn find(tokens: &[TokenRecord], id: TokenId) -> Result<TokenRecord, ApiError> {
    tokens.iter().find(|token| token.id == id).cloned().ok_or_else(no_such_token)
}

fn no_such_token() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no token with this id")
}

/// The error of a change whose token another request has changed meanwhile.
fn changed_meanwhile(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict => {
            ApiError::new(ErrorCode::Conflict, "another request has changed the token; try again")
        }
        error => error::store(error),
    }
}

/// A token's record as its owner sees it, without its last use.
#[must_use]
pub fn token_body(record: TokenRecord) -> TokenBody {
    TokenBody {
        id: record.id.to_string(),
        name: record.name,
        prefix: record.prefix,
        scopes: record.scopes,
        models: record.models.map(|models| models.patterns().to_vec()),
        created_at: record.created_at.to_string(),
        expires_at: record.expires_at.map(|at| at.to_string()),
        revoked_at: record.revoked_at.map(|at| at.to_string()),
        rotated_at: record.rotated_at.map(|at| at.to_string()),
        last_used_at: None,
    }
}
