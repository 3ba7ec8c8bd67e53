//! The limits that hold for a caller.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hearth_domain::{Budget, LimitSubject, Limits, MemberRole, Payer, Period, UserId};
use hearth_settings::LimitSettings;
use hearth_store::limits::LimitRecord;

use super::rate::{Rate, RateKind, Rates};
use crate::access::{Caller, Credential};

/// Limit of the number of callers of an organisation whose plans are cached.
const PLANS_MAX_COUNT: usize = 10_000;

/// Plans of callers; none for those without a limit.
type Plans = HashMap<(UserId, Credential), Option<Arc<Plan>>>;

/// The limits of an organisation and all that belongs to it, as they were read.
#[derive(Debug)]
pub(super) struct OrganisationLimits {
    records: HashMap<LimitSubject, Limits>,
    plans: Mutex<Plans>,
}

/// The limits that hold for a caller, at least one.
#[derive(Debug)]
pub(super) struct Plan {
    /// Rates.
    pub(super) rates: Vec<Rate>,
    /// Budgets.
    pub(super) budgets: Vec<PlannedBudget>,
}

/// The budget of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PlannedBudget {
    pub(super) subject: LimitSubject,
    pub(super) period: Period,
    pub(super) budget: Budget,
}

impl Plan {
    pub(super) fn has_budgets(&self) -> bool {
        !self.budgets.is_empty()
    }
}

impl OrganisationLimits {
    pub(super) fn new(records: Vec<LimitRecord>) -> Self {
        let records = records.into_iter().filter_map(|record| Some((record.subject()?, record.limits)));
        Self { records: records.collect(), plans: Mutex::default() }
    }

    /// The plan of a caller; none if nothing is limited.
    pub(super) fn plan(&self, caller: &Caller, settings: &LimitSettings, rates: &Rates) -> Option<Arc<Plan>> {
        if self.records.is_empty() && is_exempt(caller) {
            return None;
        }
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (caller.user, caller.credential);
        if let Some(plan) = plans.get(&key) {
            return plan.clone();
        }
        let plan = self.build(caller, settings, rates).map(Arc::new);
        if plans.len() < PLANS_MAX_COUNT {
            plans.insert(key, plan.clone());
        }
        plan
    }

    fn build(&self, caller: &Caller, settings: &LimitSettings, rates: &Rates) -> Option<Plan> {
        let mut plan = Plan { rates: Vec::new(), budgets: Vec::new() };
        for (subject, limits) in self.effective(caller, settings) {
            let windows = [
                (RateKind::RequestsPerMinute, limits.requests_per_minute),
                (RateKind::RequestsPerHour, limits.requests_per_hour),
                (RateKind::TokensPerMinute, limits.tokens_per_minute),
            ];
            for (kind, limit) in windows {
                plan.rates.extend(limit.map(|limit| rates.rate(caller.organisation, subject, kind, limit)));
            }
            for period in Period::ALL {
                let budget = limits.budget(period);
                plan.budgets.extend(budget.map(|budget| PlannedBudget { subject, period, budget }));
            }
        }
        (!plan.rates.is_empty() || plan.has_budgets()).then_some(plan)
    }

    /// The limits that hold for a caller, of each subject.
    pub(super) fn effective(&self, caller: &Caller, settings: &LimitSettings) -> Vec<(LimitSubject, Limits)> {
        let of_user = LimitSubject::User(caller.user);
        let mut limits: Vec<_> = subjects(caller)
            .into_iter()
            .filter_map(|subject| Some((subject, self.records.get(&subject)?.clone())))
            .collect();
        let own = limits.iter_mut().find(|(subject, _)| *subject == of_user);
        match own {
            Some((_, own)) if !self.may_replace_defaults(caller) => *own = own.and(&settings.of_user()),
            None if !is_exempt(caller) => limits.push((of_user, settings.of_user())),
            _ => {}
        }
        limits.retain(|(_, limits)| !limits.is_empty());
        limits
    }

    /// True if limits of a user hold in the place of the operator's defaults: in the operator's organisation, and in one that
    /// he has set other limits for. Elsewhere both hold: an organisation's owners don't lift what the operator has set.
    fn may_replace_defaults(&self, caller: &Caller) -> bool {
        let ceiling = LimitSubject::Ceiling(caller.organisation);
        caller.is_operator || self.records.get(&ceiling).is_some_and(|limits| !limits.is_empty())
    }

    /// The limits of a subject, if it has any of its own.
    pub(super) fn all(&self) -> &HashMap<LimitSubject, Limits> {
        &self.records
    }
}

/// True if the defaults for users don't hold: for the owners of the operator's organisation, who could change them.
fn is_exempt(caller: &Caller) -> bool {
    caller.is_operator && caller.role == MemberRole::Owner
}

/// True if a run that `payer` pays for is charged to a subject. A user's own key spends nothing of others, and nobody's but the
/// operator's spends what he allows an organisation. A local model is charged as the operator's key.
pub(super) fn charges(payer: Payer, subject: LimitSubject) -> bool {
    use LimitSubject::{AccessKey, Ceiling, Token, User};
    match payer {
        Payer::User => matches!(subject, Token(_) | AccessKey(_) | User(_)),
        Payer::Team | Payer::Organisation => !matches!(subject, Ceiling(_)),
        Payer::Operator => true,
    }
}

/// Everything whose limits hold for a caller.
fn subjects(caller: &Caller) -> Vec<LimitSubject> {
    let credential = match caller.credential {
        Credential::Token(id) => Some(LimitSubject::Token(id)),
        Credential::AccessKey(id) => Some(LimitSubject::AccessKey(id)),
        Credential::Login(_) | Credential::Issuer => None,
    };
    let teams = caller.teams.iter().map(|team| LimitSubject::Team(*team));
    let organisation = caller.organisation;
    let own = [
        LimitSubject::User(caller.user),
        LimitSubject::Organisation(organisation),
        LimitSubject::Ceiling(organisation),
    ];
    credential.into_iter().chain(teams).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use hearth_domain::{OrganisationId, TeamId, Timestamp};
    use hearth_store::Store;

    use super::*;

    fn record(subject: LimitSubject, limits: Limits) -> LimitRecord {
        LimitRecord::new(subject, limits, UserId::new(), Timestamp::from_unix(0))
    }

    #[test]
    fn limits_of_every_level_hold_and_the_default_where_a_user_has_none() {
        let rates = Rates::new(Store::unconnected(), false);
        let settings = LimitSettings::default();
        let owner = Caller::example();
        assert!(OrganisationLimits::new(Vec::new()).plan(&owner, &settings, &rates).is_none());
        let team = TeamId::new();
        let member = Caller { role: MemberRole::Developer, teams: [team].into(), ..Caller::example() };
        let plan = OrganisationLimits::new(Vec::new()).plan(&member, &settings, &rates).unwrap();
        assert_eq!((plan.rates.len(), plan.budgets.len()), (1, 0));
        let one = Limits { requests_per_minute: Some(1), tokens_per_day: Some(10), ..Limits::default() };
        let of = |subject| record(subject, one.clone());
        let all = vec![
            of(LimitSubject::User(member.user)),
            of(LimitSubject::Team(team)),
            of(LimitSubject::Token(member.token().unwrap())),
            of(LimitSubject::Organisation(member.organisation)),
            of(LimitSubject::Ceiling(member.organisation)),
            of(LimitSubject::Organisation(OrganisationId::new())),
            of(LimitSubject::User(UserId::new())),
        ];
        let limits = OrganisationLimits::new(all);
        let plan = limits.plan(&member, &settings, &rates).unwrap();
        assert_eq!((plan.rates.len(), plan.budgets.len()), (5, 5));
        assert!(Arc::ptr_eq(&plan, &limits.plan(&member, &settings, &rates).unwrap()));
        // The owner of the operator's organisation has the limits that were set for them.
        assert!(limits.plan(&owner, &settings, &rates).is_none());
    }
    #[test]
    fn owners_of_other_organisations_do_not_lift_the_default() {
        let settings = LimitSettings::default();
        let tenant = Caller { is_operator: false, ..Caller::example() };
        let own = Limits { requests_per_hour: Some(9000), tokens_per_day: Some(10), ..Limits::default() };
        let of_user = |caller: &Caller, records: Vec<LimitRecord>| {
            let mut limits = OrganisationLimits::new(records).effective(caller, &settings);
            limits.retain(|(subject, _)| *subject == LimitSubject::User(caller.user));
            let [(_, limits)] = limits.try_into().unwrap();
            (limits.requests_per_hour, limits.tokens_per_day)
        };
        let set = || record(LimitSubject::User(tenant.user), own.clone());
        let default = settings.of_user().requests_per_hour;
        assert_eq!(of_user(&tenant, vec![]), (default, None));
        assert_eq!(of_user(&tenant, vec![set()]), (default, Some(10)));
        let ceiling = |limits| record(LimitSubject::Ceiling(tenant.organisation), limits);
        let all = vec![set(), ceiling(Limits::default())];
        assert_eq!(of_user(&tenant, all), (default, Some(10)), "an empty ceiling of before");
        let million = Limits { requests_per_hour: Some(1_000_000), ..Limits::default() };
        assert_eq!(of_user(&tenant, vec![set(), ceiling(million)]), (Some(9000), Some(10)));
        let developer = Caller { role: MemberRole::Developer, ..Caller::example() };
        let set = record(LimitSubject::User(developer.user), own.clone());
        assert_eq!(of_user(&developer, vec![set]), (Some(9000), Some(10)));
    }

    #[test]
    fn run_is_charged_to_those_only_who_pay_for_it() {
        let organisation = OrganisationId::new();
        let all = [
            LimitSubject::User(UserId::new()),
            LimitSubject::Team(TeamId::new()),
            LimitSubject::Organisation(organisation),
            LimitSubject::Ceiling(organisation),
        ];
        for (payer, count) in
            [(Payer::User, 1), (Payer::Team, 3), (Payer::Organisation, 3), (Payer::Operator, 4)]
        {
            let charged = all.iter().take_while(|subject| charges(payer, **subject));
            assert_eq!(charged.count(), count, "{payer:?}");
        }
    }
}
