//! The membership that the claims of a token give, by the rules of the settings.

use hearth_auth::IssuerClaims;
use hearth_domain::{MemberRole, OrganisationId, TeamId};
use hearth_settings::{ClaimRule, IdentityProviderSettings};
use hearth_wire::{ApiError, ErrorCode};

/// The membership that a token gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// The organisation; absent: the operator's.
    pub(super) organisation: Option<OrganisationId>,
    /// The organisation is named by a claim, and not by the settings.
    pub(super) is_claimed: bool,
    pub(super) role: MemberRole,
    pub(super) teams: Vec<TeamId>,
}

impl Grant {
    /// The grant of these claims.
    ///
    /// # Errors
    /// `forbidden` if the address isn't of an accepted domain, a claim names no organisation, or no role is given.
    pub(super) fn of(settings: &IdentityProviderSettings, claims: &IssuerClaims) -> Result<Self, ApiError> {
        check_domain(settings, claims)?;
        let rules: Vec<&ClaimRule> =
            settings.rules.iter().filter(|rule| claims.values(&rule.claim).contains(&rule.value)).collect();
        let role = role_of(settings, claims);
        let role = role.ok_or_else(|| forbidden("the claims of this user give no role in this gateway"))?;
        let by_rule = rules.iter().find_map(|rule| rule.organisation);
        let by_claim = match (&settings.organisation_claim, by_rule) {
            (Some(claim), None) => claimed_organisation(claim, claims)?,
            _ => None,
        };
        let mut teams: Vec<TeamId> = rules.iter().flat_map(|rule| rule.teams.iter().copied()).collect();
        teams.sort_unstable();
        teams.dedup();
        let organisation = by_rule.or(by_claim).or(settings.organisation);
        Ok(Self { organisation, is_claimed: by_rule.is_none() && by_claim.is_some(), role, teams })
    }

    /// The teams of a member: those of the claims, and those that no rule gives.
    pub(super) fn teams_with(&self, settings: &IdentityProviderSettings, current: &[TeamId]) -> Vec<TeamId> {
        let is_ruled = |team: &TeamId| settings.rules.iter().any(|rule| rule.teams.contains(team));
        let mut teams: Vec<TeamId> = current.iter().copied().filter(|team| !is_ruled(team)).collect();
        teams.extend(&self.teams);
        teams.sort_unstable();
        teams.dedup();
        teams
    }
}

/// The role that the claims give, or the default one.
pub(super) fn role_of(settings: &IdentityProviderSettings, claims: &IssuerClaims) -> Option<MemberRole> {
    let mut rules = settings.rules.iter().filter(|rule| claims.values(&rule.claim).contains(&rule.value));
    rules.find_map(|rule| rule.role).or(settings.role)
}

/// True if a token has a claim that decides the role.
pub(super) fn has_role_claims(settings: &IdentityProviderSettings, claims: &IssuerClaims) -> bool {
    let mut rules = settings.rules.iter().filter(|rule| rule.role.is_some());
    rules.any(|rule| !claims.values(&rule.claim).is_empty())
}

/// True if the claims decide the role of a member. The default role alone is one to begin with.
pub(super) fn has_role_rules(settings: &IdentityProviderSettings) -> bool {
    settings.rules.iter().any(|rule| rule.role.is_some())
}

fn check_domain(settings: &IdentityProviderSettings, claims: &IssuerClaims) -> Result<(), ApiError> {
    if settings.domains.is_empty() {
        return Ok(());
    }
    let email = claims.verified_email();
    let domain = email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
    if domain.is_some_and(|domain| settings.domains.iter().any(|own| own.eq_ignore_ascii_case(domain))) {
        return Ok(());
    }
    Err(forbidden("the token has no verified address of a domain that this gateway accepts"))
}

fn claimed_organisation(claim: &str, claims: &IssuerClaims) -> Result<Option<OrganisationId>, ApiError> {
    let values = claims.values(claim);
    let Some(value) = values.first() else { return Ok(None) };
    let id =
        value.parse().map_err(|_| forbidden("the token's claim names no organisation of this gateway"))?;
    Ok(Some(id))
}

pub(super) fn forbidden(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Forbidden, format!("{message}; ask its operator"))
}
