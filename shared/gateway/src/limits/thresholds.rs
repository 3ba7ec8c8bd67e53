//! Events of budgets: each part of a limit is reported once in a period, by whichever process notices it first.

use std::{sync::Arc, time::Duration};

use hearth_domain::{EventKind, LimitSubject, OrganisationId, Timestamp};
use hearth_store::{
    Store,
    budgets::{Counter, CounterId},
    limit_events::LimitEvent,
};
use serde_json::json;

use super::plan::PlannedBudget;
use crate::{
    events::{Event, EventOwner, Events},
    timed_cache::TimedCache,
};

/// Parts of a limit that are reported, in percent.
const PERCENTS: [u32; 3] = [50, 80, 100];
/// Time for which this process remembers a report; after that the store knows.
const REPORTED_TTL: Duration = Duration::from_secs(3600);
/// Limit of the number of reports in memory.
const REPORTED_MAX_COUNT: usize = 10_000;

type Report = (CounterId, &'static str, u32);

/// Reports budgets that have reached a part of their limits.
#[derive(Debug)]
pub(super) struct Thresholds {
    store: Store,
    events: Events,
    reported: TimedCache<Arc<Report>, ()>,
}

impl Thresholds {
    pub(super) fn new(store: Store, events: Events) -> Self {
        Self { store, events, reported: TimedCache::new(REPORTED_TTL, REPORTED_MAX_COUNT) }
    }

    /// Reports the parts that the budgets of settled runs have reached.
    pub(super) async fn check(
        &self,
        organisation: OrganisationId,
        budgets: &[(CounterId, PlannedBudget)],
        now: Timestamp,
    ) {
        for (id, budget) in budgets {
            let counter = match self.store.budgets().counter(id).await {
                Ok(counter) => counter,
                Err(error) => {
                    tracing::warn!(%error, "a budget can't be read; the next run reports what it has reached");
                    continue;
                }
            };
            for (resource, percent) in reached(budget, &counter) {
                self.raise(organisation, id, budget, resource, percent, now).await;
            }
        }
    }

    /// Reports a budget that has refused a run.
    pub(super) async fn raise_used_up(
        &self,
        organisation: OrganisationId,
        id: &CounterId,
        budget: &PlannedBudget,
        resource: &'static str,
        now: Timestamp,
    ) {
        self.raise(organisation, id, budget, resource, 100, now).await;
    }

    async fn raise(
        &self,
        organisation: OrganisationId,
        id: &CounterId,
        budget: &PlannedBudget,
        resource: &'static str,
        percent: u32,
        now: Timestamp,
    ) {
        let report = Arc::new((id.clone(), resource, percent));
        if self.reported.get(&report).is_some() {
            return;
        }
        let event = LimitEvent {
            organisation,
            subject: budget.subject.to_string(),
            period: id.period().to_owned(),
            resource: resource.to_owned(),
            percent,
            at: now,
        };
        let announced = self.events.announce(owner_of(organisation, budget), published(&event)).await;
        match self.store.limit_events().put(&event).await {
            Ok(is_new) => {
                self.reported.put(report, ());
                if is_new {
                    announced.send().await;
                    let LimitEvent { subject, period, .. } = &event;
                    metrics::counter!("hearth_budget_events_total", "percent" => percent.to_string())
                        .increment(1);
                    tracing::warn!(target: "hearth::budgets", %organisation, subject, period, resource, percent, "a budget has reached a part of its limit");
                } else {
                    announced.withdraw().await;
                }
            }
            Err(error) => {
                announced.leave();
                tracing::warn!(%error, "a budget's event can't be stored; the next run reports it");
            }
        }
    }
}

/// The owner of a budget, as far as its subject has one: those of teams and of the organisation are the organisation's.
fn owner_of(organisation: OrganisationId, budget: &PlannedBudget) -> EventOwner {
    let user = match budget.subject {
        LimitSubject::User(user) => Some(user),
        _ => None,
    };
    EventOwner { organisation, user }
}

fn published(event: &LimitEvent) -> Event {
    let LimitEvent { subject, period, resource, percent, .. } = event;
    let data = json!({ "budget": subject, "period": period, "resource": resource, "percent": percent });
    Event::new(EventKind::BudgetThreshold, subject.clone(), data)
}

/// The parts of its limit that a budget has reached, of tokens and of dollars.
fn reached(budget: &PlannedBudget, counter: &Counter) -> Vec<(&'static str, u32)> {
    let parts = [
        ("tokens", budget.budget.tokens, counter.spent_tokens),
        ("dollars", budget.budget.nanodollars, counter.spent_nanodollars),
    ];
    let limited = parts.into_iter().filter_map(|(resource, limit, spent)| Some((resource, limit?, spent)));
    limited
        .flat_map(|(resource, limit, spent)| {
            let is_reached =
                move |percent: &u32| i128::from(spent) * 100 >= i128::from(limit) * i128::from(*percent);
            PERCENTS.into_iter().filter(is_reached).map(move |percent| (resource, percent))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Budget, Period, UserId};

    use super::*;

    #[test]
    fn each_part_is_reached_exactly_at_its_amount() {
        let budget = PlannedBudget {
            subject: LimitSubject::User(UserId::new()),
            period: Period::Day,
            budget: Budget { tokens: Some(10), nanodollars: Some(1_000_000_000_000_000) },
        };
        let at = |spent_tokens, spent_nanodollars| {
            reached(&budget, &Counter { spent_tokens, spent_nanodollars, ..Counter::default() })
        };
        assert_eq!(at(4, 0), []);
        assert_eq!(at(5, 499_999_999_999_999), [("tokens", 50)]);
        assert_eq!(at(8, 0), [("tokens", 50), ("tokens", 80)]);
        assert_eq!(at(0, 1_000_000_000_000_000).last(), Some(&("dollars", 100)));
        assert_eq!(at(12, 0).len(), 3);
    }
}
