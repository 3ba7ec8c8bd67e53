//! Limits hold for those whose they are: runs with keys of their own, members of two organisations, and owners.

use hearth_domain::{
    AccessKeyId, LimitSubject, Limits, MemberRole, OrganisationId, Owner, Payer, Timestamp, TokenId, UserId,
};
use hearth_gateway::{Caller, accounts::provider_keys::KeyScope};
use hearth_store::{
    access_keys::AccessKeyRecord,
    limits::LimitRecord,
    organisations::{MemberRecord, OrganisationRecord},
    tokens::TokenRecord,
};
use hearth_tests::{Reply, eventually};
use hearth_wire::{
    ErrorCode,
    native::{
        limits::LimitScope,
        usage::{UsageQuery, UsageSums},
    },
};
use serde_json::json;

use crate::own_keys::{World, answer, key, member, private, world};

/// Tokens of the worst case of the request: five of the prompt, and the answer's where it has no limit.
const WORST: i64 = 5 + 4096;

impl World {
    async fn set_limits(&self, organisation: OrganisationId, subject: LimitSubject, limits: Limits) {
        let record = LimitRecord::new(subject, limits, UserId::new(), Timestamp::now());
        let put = self.store.limits().put(organisation, subject, &record).await;
        put.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The spent tokens and dollars of each budget of the caller's organisation, by the kind of its subject.
    async fn spent(&self, caller: &Caller) -> Vec<(String, i64, String)> {
        let limits = self.gateway.limits().list(caller, LimitScope::Organisation).await;
        let limits = limits.unwrap_or_else(|error| panic!("{error}")).data;
        let mut spent: Vec<_> = limits
            .into_iter()
            .map(|mut limit| {
                let budget = limit.budgets.remove(0);
                assert_eq!(budget.tokens_reserved.min(0), 0);
                (limit.kind, budget.tokens_spent, budget.dollars_spent)
            })
            .collect();
        spent.sort();
        spent
    }

    /// Waits until budgets have spent these tokens.
    async fn wait_for(&self, caller: &Caller, expected: &[(&str, i64)]) -> Vec<(String, i64, String)> {
        eventually("the settlement", async || {
            let spent = self.spent(caller).await;
            let tokens: Vec<_> = spent.iter().map(|(kind, tokens, _)| (kind.as_str(), *tokens)).collect();
            (tokens == expected).then_some(spent)
        })
        .await
    }

    async fn usage(&self, caller: &Caller) -> UsageSums {
        let report = self.gateway.usage().report(caller, &UsageQuery::default()).await;
        report.unwrap_or_else(|error| panic!("{error}")).total
    }
}

fn budget() -> Limits {
    Limits { tokens_per_month: Some(1_000_000), dollars_per_month: "1".parse().ok(), ..Limits::default() }
}

/// An answer whose server reports any number of tokens.
fn boast() -> Reply {
    let choice = |delta, finish: Option<&str>| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    Reply::chunks(&[
        choice(json!({"role": "assistant", "content": "Hi."}), None),
        choice(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 4_000_000_000_u32, "completion_tokens": 1}}),
    ])
}

#[tokio::test]
async fn members_server_spends_nothing_of_others_and_no_more_than_the_worst_case() {
    let world = world(private()).await;
    let organisation = OrganisationId::new();
    let ada = member(organisation, &[]);
    for subject in [
        LimitSubject::User(ada.user),
        LimitSubject::Organisation(organisation),
        LimitSubject::Ceiling(organisation),
    ] {
        world.set_limits(organisation, subject, budget()).await;
    }
    let credential = json!({"base_url": world.url("/v1"), "key": "k"});
    let body = json!({"provider": "deepseek", "kind": "endpoint_key", "credential": credential});
    let own = world.create(&ada, KeyScope::Own, body.clone()).await;
    world.vendor.reply(boast());
    let selection = world.ask(&ada, "deepseek:deepseek-chat").await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(selection.payer, Some(Payer::User));
    let spent = world.wait_for(&ada, &[("operator", 0), ("organisation", 0), ("user", WORST)]).await;
    assert_eq!((spent[0].2.as_str(), spent[1].2.as_str()), ("0", "0"));
    let dollars: f64 = spent[2].2.parse().unwrap_or(f64::MAX);
    assert!(dollars > 0.0 && dollars < 0.01, "{dollars}");
    let usage = world.usage(&ada).await;
    assert_eq!(
        (usage.prompt_tokens + usage.completion_tokens, usage.cost.as_str()),
        (WORST, spent[2].2.as_str())
    );

    let keys = world.gateway.provider_keys();
    keys.delete(&ada, KeyScope::Own, own).await.unwrap_or_else(|error| panic!("{error}"));
    world.create(&ada, KeyScope::Organisation(organisation), body).await;
    world.vendor.reply(boast());
    let selection = world.ask(&ada, "deepseek:deepseek-chat").await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(selection.payer, Some(Payer::Organisation));
    world.wait_for(&ada, &[("operator", 0), ("organisation", WORST), ("user", 2 * WORST)]).await;

    // What the operator's key has answered is charged to everybody.
    world.vendor.reply(answer());
    world.ask(&ada, "rig:big").await.unwrap_or_else(|error| panic!("{error}"));
    world.wait_for(&ada, &[("operator", 5), ("organisation", WORST + 5), ("user", 2 * WORST + 5)]).await;
}

#[tokio::test]
async fn own_key_serves_while_the_organisations_budget_is_used_up() {
    let world = world(private()).await;
    let organisation = OrganisationId::new();
    let ada = member(organisation, &[]);
    let small = Limits { tokens_per_month: Some(1), ..Limits::default() };
    world.set_limits(organisation, LimitSubject::Organisation(organisation), small).await;
    assert_eq!(world.ask(&ada, "rig:big").await.unwrap_err().code, ErrorCode::QuotaExceeded);
    world.create(&ada, KeyScope::Own, key("sk-user")).await;
    world.vendor.reply(answer());
    world.ask(&ada, "rig:big").await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn budget_of_a_member_counts_in_its_own_organisation_alone() {
    let world = world(private()).await;
    let here = member(OrganisationId::new(), &[]);
    let there = Caller { organisation: OrganisationId::new(), ..here.clone() };
    for caller in [&here, &there] {
        world.set_limits(caller.organisation, LimitSubject::User(here.user), budget()).await;
    }
    world.vendor.reply(answer());
    world.ask(&here, "rig:big").await.unwrap_or_else(|error| panic!("{error}"));
    world.wait_for(&here, &[("user", 5)]).await;
    assert_eq!(world.spent(&there).await[0].1, 0);
}

/// An organisation with an owner, an admin and a developer.
async fn organisation(world: &World, id: OrganisationId) -> [Caller; 3] {
    let organisations = world.store.organisations();
    let record = OrganisationRecord::new(id, "lab");
    let roles = [MemberRole::Owner, MemberRole::Admin, MemberRole::Developer];
    let members = roles.map(|role| Caller { role, ..member(id, &[]) });
    for caller in &members {
        let membership = MemberRecord::new(id, caller.user, caller.role);
        let added = match caller.role {
            MemberRole::Owner => organisations.create(&record, &membership).await,
            _ => organisations.add_member(&record, &membership).await,
        };
        added.unwrap_or_else(|error| panic!("{error}"));
    }
    members
}

/// A token and an access key of a caller.
async fn credentials(world: &World, caller: &Caller) -> (TokenId, AccessKeyId) {
    let owner = Owner { user: caller.user, organisation: caller.organisation };
    let token = TokenRecord::new(format!("{}", TokenId::new()), owner);
    world.store.tokens().create(&token).await.unwrap_or_else(|error| panic!("{error}"));
    let key = AccessKeyRecord {
        id: AccessKeyId::new(),
        hash: format!("{}", AccessKeyId::new()),
        owner: caller.user,
        organisation: caller.organisation,
        name: String::new(),
        prefix: String::new(),
        models: Vec::new(),
        created_at: Timestamp::now(),
        expires_at: None,
        revoked_at: None,
    };
    world.store.access_keys().create(&key).await.unwrap_or_else(|error| panic!("{error}"));
    (token.id, key.id)
}

#[tokio::test]
async fn limits_are_set_for_those_of_the_organisation_whom_the_role_covers() {
    let world = world(private()).await;
    let [owner, admin, developer] = organisation(&world, OrganisationId::new()).await;
    let [stranger, ..] = organisation(&world, OrganisationId::new()).await;
    let limits = world.gateway.limits();
    let set = async |caller: &Caller, kind: &str, id: String, new: Limits| {
        limits.set(caller, kind, &id, new).await.map(|body| body.kind).map_err(|error| error.code)
    };
    let (of_owner, of_developer) = (credentials(&world, &owner).await, credentials(&world, &developer).await);
    let foreign = credentials(&world, &stranger).await;
    // The same user acts in another organisation with this one.
    let elsewhere = Caller { organisation: stranger.organisation, ..developer.clone() };
    let other = credentials(&world, &elsewhere).await;
    let not_found = Err(ErrorCode::NotFound);
    for (token, access_key) in [foreign, other, (TokenId::new(), AccessKeyId::new())] {
        assert_eq!(set(&owner, "token", token.to_string(), budget()).await, not_found);
        assert_eq!(set(&owner, "access_key", access_key.to_string(), budget()).await, not_found);
    }
    let (token, access_key) = of_developer;
    for (kind, id) in [
        ("token", token.to_string()),
        ("access_key", access_key.to_string()),
        ("user", developer.user.to_string()),
    ] {
        assert_eq!(set(&admin, kind, id.clone(), budget()).await.as_deref(), Ok(kind));
        limits.remove(&admin, kind, &id).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
    for (kind, id) in [
        ("token", of_owner.0.to_string()),
        ("access_key", of_owner.1.to_string()),
        ("user", owner.user.to_string()),
        ("organisation", owner.organisation.to_string()),
    ] {
        assert_eq!(set(&admin, kind, id.clone(), budget()).await, Err(ErrorCode::Forbidden), "{kind}");
        assert_eq!(set(&owner, kind, id.clone(), budget()).await.as_deref(), Ok(kind));
        assert_eq!(limits.remove(&admin, kind, &id).await.unwrap_err().code, ErrorCode::Forbidden, "{kind}");
    }
    let empty = limits.set(&owner, "user", &developer.user.to_string(), Limits::default()).await.unwrap_err();
    assert_eq!((empty.code, empty.param.as_deref()), (ErrorCode::InvalidRequest, Some("body")));
}

#[tokio::test]
async fn limits_of_the_operators_own_organisation_are_set_by_its_owners() {
    let world = world(private()).await;
    let [owner, admin, _] = organisation(&world, OrganisationId::new()).await;
    let [tenant, ..] = organisation(&world, OrganisationId::new()).await;
    let (owner, admin) = (Caller { is_operator: true, ..owner }, Caller { is_operator: true, ..admin });
    let (limits, own) = (world.gateway.limits(), owner.organisation.to_string());
    for kind in ["organisation", "operator"] {
        let refused = limits.set(&admin, kind, &own, budget()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Forbidden, "{kind}");
        limits.set(&owner, kind, &own, budget()).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(limits.remove(&admin, kind, &own).await.unwrap_err().code, ErrorCode::Forbidden);
    }
    let theirs = tenant.organisation.to_string();
    limits.set(&admin, "operator", &theirs, budget()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        limits.set(&tenant, "operator", &theirs, budget()).await.unwrap_err().code,
        ErrorCode::Forbidden
    );
}
