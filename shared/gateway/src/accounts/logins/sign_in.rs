//! Sign-in by a password.

use hearth_auth::password;
use hearth_domain::{OrganisationId, Timestamp, UserId};
use hearth_store::users::UserRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::logins::{LoginBody, LoginRequest},
};

use super::{LoginOrigin, Logins};
use crate::error;

/// The method of a login by a password.
pub(super) const METHOD: &str = "password";
/// Limit of the bytes of an address of e-mail (RFC 5321, section 4.5.3.1, with the `@`).
const EMAIL_MAX_BYTES: usize = 320;

impl Logins {
    /// Signs a user in by their password. Whatever is wrong, the answer is the same and takes as long: it reveals no accounts.
    ///
    /// # Errors
    /// `unauthorized` if the address or the password is wrong; `rate_limited` after too many failures; `not_found` if the user
    /// is no member of the organisation.
    #[crate::boxed_future]
    pub async fn sign_in(&self, request: LoginRequest, origin: LoginOrigin) -> Result<LoginBody, ApiError> {
        let LoginRequest { email, password, organisation } = request;
        if email.trim().is_empty() || email.len() > EMAIL_MAX_BYTES {
            let message = format!("email must have 1 to {EMAIL_MAX_BYTES} bytes");
            return Err(ApiError::invalid("email", message));
        }
        let began = Timestamp::now();
        let attempt = self.throttle.begin(&email, origin.address).await?;
        let user = self.store.users().by_address(&email).await.map_err(error::store)?;
        let user = user.filter(|user| user.disabled_at.is_none());
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_valid = self.passwords.verify(&password, hash.clone()).await?;
        let (Some(user), Some(hash), true) = (user, hash, is_valid) else { return Err(wrong()) };
        self.throttle.succeed(&attempt).await?;
        if password::needs_rehash(&hash) {
            self.replace_hash(&user, hash, self.passwords.rehash(&password).await?).await?;
        }
        let organisation = self.choose_organisation(user.id, organisation).await?;
        self.open_since(user.id, organisation, LoginOrigin { method: METHOD.to_owned(), ..origin }, began)
            .await
    }

    /// Replaces a hash of old parameters, unless the password was changed meanwhile.
    async fn replace_hash(&self, user: &UserRecord, old: String, new: String) -> Result<(), ApiError> {
        let users = self.store.users();
        let change = users.change(user.id, move |user| {
            let is_same = user.password_hash.as_ref() == Some(&old);
            if is_same {
                user.password_hash = Some(new.clone());
            }
            is_same
        });
        change.await.map(drop).map_err(error::store)
    }

    /// The organisation of a login: the named one, or the first that the user joined and can act in.
    pub(crate) async fn choose_organisation(
        &self,
        user: UserId,
        named: Option<OrganisationId>,
    ) -> Result<OrganisationId, ApiError> {
        let candidates = match named {
            Some(organisation) => vec![organisation],
            None => {
                let mut members = self.store.organisations().of_user(user).await.map_err(error::store)?;
                members.sort_by_key(|member| member.joined_at);
                // The operator's organisation may have no records, if its data is from before there were organisations.
                let own = OrganisationId::of_operator(user);
                members.into_iter().map(|member| member.organisation).chain([own]).collect()
            }
        };
        for organisation in candidates {
            match self.access.membership(organisation, user).await {
                Ok(_) => return Ok(organisation),
                Err(error) if error.code == ErrorCode::Unauthorized => {}
                Err(error) => return Err(error),
            }
        }
        if named.is_some() {
            let message = "you are a member of no such organisation; leave it out for your first one";
            return Err(ApiError::new(ErrorCode::NotFound, message).at("organisation"));
        }
        let message = "you are a member of no organisation; ask an admin for an invitation";
        Err(ApiError::new(ErrorCode::Forbidden, message))
    }
}

fn wrong() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "the address or the password is wrong")
}
