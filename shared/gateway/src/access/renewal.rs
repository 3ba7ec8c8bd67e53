//! Callers whose requests wait: their credentials and memberships are read again.

use hearth_domain::Timestamp;
use hearth_wire::ApiError;

use super::{
    Access, Caller, Credential,
    login_tokens::{is_ended_with_others, login_ended, of_login},
    membership::Membership,
    unauthorized,
};
use crate::error;

impl Access {
    /// The caller as their credential and membership are in the store now. A login counts for as long as it lasts: its access
    /// tokens are short, and their client gets others.
    ///
    /// # Errors
    /// `unauthorized` if the credential has ended or the user is no member any longer; `internal` if the store fails.
    pub(crate) async fn renew(&self, caller: &Caller) -> Result<Caller, ApiError> {
        let now = Timestamp::now();
        match (caller.credential, caller.record_hash.as_deref()) {
            (Credential::Token(_), Some(hash)) => {
                let record = self.store.tokens().by_hash(hash).await.map_err(error::store)?;
                let record = record.filter(|record| record.is_valid(now));
                self.caller_of_token(record.ok_or_else(unauthorized)?).await
            }
            (Credential::AccessKey(_), Some(hash)) => {
                let record = self.store.access_keys().by_hash(hash).await.map_err(error::store)?;
                let record = record.filter(|record| record.is_valid(now));
                self.caller_of_access_key(record.ok_or_else(unauthorized)?).await
            }
            (Credential::Login(id), _) => {
                let login = self.store.logins().get(id).await.map_err(error::store)?;
                let login = login.filter(|login| login.is_valid(now)).ok_or_else(login_ended)?;
                let membership = self.membership(login.organisation, login.user).await.map_err(of_login)?;
                if is_ended_with_others(&login, membership.logins_ended) {
                    return Err(login_ended());
                }
                let caller = with_membership(caller, membership);
                Ok(Caller { expires_at: Some(login.expires_at), ..caller })
            }
            _ if caller.expires_at.is_some_and(|at| at <= now) => Err(unauthorized()),
            _ => Ok(with_membership(caller, self.membership(caller.organisation, caller.user).await?)),
        }
    }
}

fn with_membership(caller: &Caller, membership: Membership) -> Caller {
    let Membership { role, teams, is_operator, regions, .. } = membership;
    Caller { role, teams, is_operator, regions, ..caller.clone() }
}
