//! Tests of rates: windows, leases, and several limits at once.

use hearth_domain::{Budget, Message, Period, Role, Sampling, TextTask, UserId};
use hearth_store::Store;

use super::*;
use crate::limits::plan::PlannedBudget;

fn rates(is_shared: bool) -> Rates {
    let store = Store::unconnected();
    Rates::new(store, is_shared)
}

fn request(max_tokens: u32) -> Generation {
    let sampling = Sampling { max_tokens: Some(max_tokens), ..Sampling::default() };
    Generation::new(None, TextTask::new(vec![Message::new(Role::User, "1234")], sampling))
}

fn plan(rates: &Rates, limits: &[(RateKind, u32)]) -> Arc<Plan> {
    let (organisation, subject) = (OrganisationId::new(), LimitSubject::User(UserId::new()));
    let rates = limits.iter().map(|(kind, limit)| rates.rate(organisation, subject, *kind, *limit)).collect();
    Arc::new(Plan { rates, budgets: Vec::new() })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn window_ends_with_the_minute_of_the_clock() {
    let rates = rates(false);
    let plan = plan(&rates, &[(RateKind::RequestsPerMinute, 2), (RateKind::RequestsPerHour, 3)]);
    let admit = async |now: &str| rates.admit(Arc::clone(&plan), &request(1), at(now)).await;
    let first = admit("2026-11-29T23:58:59.000Z").await.unwrap();
    let state = first.status().unwrap().requests.unwrap();
    assert_eq!((state.limit, state.remaining), (2, 1));
    assert_eq!(state.resets_at, at("2026-11-29T23:59:00.000Z"));
    admit("2026-11-29T23:58:59.500Z").await.unwrap();
    let error = admit("2026-11-29T23:58:59.999Z").await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retry_after_seconds()), ("rate_limited", Some(1)));
    assert_eq!(error.details["limit_name"], "requests_per_minute");
    // A refused request isn't counted by the other limit.
    admit("2026-11-29T23:59:00.000Z").await.unwrap();
    let error = admit("2026-11-29T23:59:10.000Z").await.unwrap_err();
    assert_eq!(error.details["limit_name"], "requests_per_hour");
    assert_eq!(error.retry_after_seconds(), Some(50));
    // A clock that is set back by seconds doesn't begin the minute again.
    assert!(admit("2026-11-29T23:58:59.000Z").await.is_err());
    admit("2026-11-30T00:00:00.000Z").await.unwrap();
}

#[tokio::test]
async fn tokens_that_a_request_does_not_use_are_given_back() {
    let rates = rates(false);
    let plan = plan(&rates, &[(RateKind::TokensPerMinute, 100)]);
    let now = at("2026-11-29T10:00:00.000Z");
    // "1234" is five tokens with its message.
    let mut first = rates.admit(Arc::clone(&plan), &request(55), now).await.unwrap();
    assert_eq!(first.status().unwrap().tokens.unwrap().remaining, 40);
    assert!(rates.admit(Arc::clone(&plan), &request(55), now).await.is_err());
    first.set_used_tokens(10, Payer::Operator);
    drop(first);
    let second = rates.admit(Arc::clone(&plan), &request(55), now).await.unwrap();
    assert_eq!(second.status().unwrap().tokens.unwrap().remaining, 30);
    drop(second);
    // A request that alone exceeds the limit may use a whole window.
    let later = at("2026-11-29T10:01:00.000Z");
    let large = rates.admit(Arc::clone(&plan), &request(1000), later).await.unwrap();
    assert_eq!(large.status().unwrap().tokens.unwrap().remaining, 0);
    // Its end in the next window changes nothing there.
    let next = at("2026-11-29T10:02:00.000Z");
    let third = rates.admit(Arc::clone(&plan), &request(5), next).await.unwrap();
    drop(large);
    assert_eq!(third.status().unwrap().tokens.unwrap().remaining, 90);
}

#[tokio::test]
async fn budget_alone_has_no_status() {
    let rates = rates(false);
    let subject = LimitSubject::User(UserId::new());
    let budget = Budget { tokens: Some(1), nanodollars: None };
    let budgets = vec![PlannedBudget { subject, period: Period::Day, budget }];
    let plan = Arc::new(Plan { rates: Vec::new(), budgets });
    let admission = rates.admit(plan, &request(1), at("2026-11-29T10:00:00.000Z")).await.unwrap();
    assert_eq!(admission.status(), None);
}
