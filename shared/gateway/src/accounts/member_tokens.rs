//! Tokens and access keys of members: listed and revoked by those who manage members.

use hearth_domain::{AccessKeyId, MemberRole, OrganisationId, Owner, TokenId, UserId};
use hearth_wire::{
    ApiError,
    native::tokens::{AccessKeyList, TokenList},
};

use super::{
    members::{no_such_member, require_covered},
    organisations::{Organisations, require_own},
};
use crate::{access::Caller, error};

impl Organisations {
    /// The tokens of a member of the caller's organisation that act in it.
    ///
    /// # Errors
    /// `not_found` for another organisation, and for a user who isn't a member.
    #[crate::boxed_future]
    pub async fn member_tokens(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
    ) -> Result<TokenList, ApiError> {
        let owner = self.member_owner(caller, id, user).await?.0;
        Ok(TokenList { tokens: self.access.list_tokens(owner).await? })
    }

    /// Revokes a token of a member.
    ///
    /// # Errors
    /// `not_found` as for [`Organisations::member_tokens`], and if the member has no such token; `forbidden` if the caller's role
    /// doesn't cover the member's; `conflict` for the token of the commands on this machine.
    #[crate::boxed_future]
    pub async fn revoke_member_token(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
        token: TokenId,
    ) -> Result<(), ApiError> {
        let (owner, role) = self.member_owner(caller, id, user).await?;
        require_covered(caller, &[role])?;
        self.access.require_not_of_commands(token)?;
        self.access.revoke_token_of(owner, token).await
    }

    /// The access keys of a member.
    ///
    /// # Errors
    /// As for [`Organisations::member_tokens`].
    #[crate::boxed_future]
    pub async fn member_access_keys(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
    ) -> Result<AccessKeyList, ApiError> {
        let owner = self.member_owner(caller, id, user).await?.0;
        Ok(AccessKeyList { access_keys: self.access.list_access_keys(owner).await? })
    }

    /// Revokes an access key of a member.
    ///
    /// # Errors
    /// As for [`Organisations::revoke_member_token`].
    #[crate::boxed_future]
    pub async fn revoke_member_access_key(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
        key: AccessKeyId,
    ) -> Result<(), ApiError> {
        let (owner, role) = self.member_owner(caller, id, user).await?;
        require_covered(caller, &[role])?;
        self.access.revoke_access_key_of(owner, key).await
    }

    /// A member as the owner of credentials in the organisation, and the member's role.
    async fn member_owner(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
    ) -> Result<(Owner, MemberRole), ApiError> {
        require_own(caller, id)?;
        let member = self.store.organisations().member(id, user).await.map_err(error::store)?;
        let member = member.ok_or_else(no_such_member)?;
        Ok((Owner { user, organisation: id }, member.role))
    }
}
