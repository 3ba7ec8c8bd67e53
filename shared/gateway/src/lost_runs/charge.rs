//! Charges the runs that their nodes have gone on with.

use hearth_domain::{MemberRole, Run, ScopeSet, Usage};

use super::LostRuns;
use crate::{
    access::{Caller, Credential},
    limits::estimate::tokens,
};

/// The usage of a run that was cut off before it was reported. `bytes`: those of its output.
pub(super) fn estimate(prompt_tokens: u32, bytes: usize) -> Usage {
    Usage { prompt_tokens, completion_tokens: tokens(bytes), ..Usage::default() }
}

impl LostRuns {
    /// Charges an ended run to its user. Its process hasn't, and has given back what it had reserved. In a store that processes
    /// share, functions that end runs have no permission for it.
    pub(super) async fn charge(&self, run: &Run, used: Usage) {
        if !self.is_shared {
            self.limits.charge_late(&self.caller_of(run).await, run, used, run.cost).await;
        }
    }

    /// The owner of a run as its caller, with the credential that the record names. One who isn't a member any more has no team.
    async fn caller_of(&self, run: &Run) -> Caller {
        let owner = run.owner();
        let member = self.access.membership(owner.organisation, owner.user).await.ok();
        Caller {
            user: owner.user,
            organisation: owner.organisation,
            role: member.as_ref().map_or(MemberRole::Developer, |member| member.role),
            teams: member.as_ref().map(|member| member.teams.clone()).unwrap_or_default(),
            is_operator: member.as_ref().is_some_and(|member| member.is_operator),
            regions: member.map(|member| member.regions).unwrap_or_default(),
            credential: credential_of(run),
            scopes: ScopeSet::default(),
            models: None,
            record_hash: None,
            expires_at: None,
        }
    }
}

/// The credential by whose limits a run is charged. One that the record doesn't name has none, as a token of an identity
/// provider.
fn credential_of(run: &Run) -> Credential {
    let id = run.token.as_deref().unwrap_or_default();
    if let Ok(token) = id.parse() {
        return Credential::Token(token);
    }
    id.parse().map_or(Credential::Issuer, Credential::AccessKey)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{AccessKeyId, TokenId, UserId};

    use super::*;

    #[test]
    fn run_is_charged_to_the_credential_that_its_record_names() {
        let (token, key) = (TokenId::new(), AccessKeyId::new());
        for credential in [Credential::Token(token), Credential::AccessKey(key), Credential::Issuer] {
            let run = Run { token: Some(credential.to_string()), ..Run::example(UserId::new()) };
            assert_eq!(credential_of(&run), credential);
        }
        assert_eq!(credential_of(&Run { token: None, ..Run::example(UserId::new()) }), Credential::Issuer);
    }

    #[test]
    fn stopped_run_is_estimated_by_what_it_has_written() {
        assert_eq!(estimate(3, "five tokens at most.".len()).total_tokens(), 8);
    }
}
