//! Users of tests, each with a membership and a token.

use std::sync::atomic::{AtomicU32, Ordering};

use hearth_auth::ApiToken;
use hearth_domain::{MemberRole, OrganisationId, Owner, Scope, UserId};
use hearth_store::{
    Store, StoreError,
    organisations::{MemberRecord, OrganisationRecord},
    tokens::TokenRecord,
    users::UserRecord,
};

/// A user of a test, in one organisation.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user.
    pub user: UserId,
    /// The organisation in which the token acts.
    pub organisation: OrganisationId,
    /// A token with every scope.
    pub token: String,
}

impl Person {
    /// Creates a user and an organisation that they own.
    ///
    /// # Panics
    /// If the store refuses it.
    pub async fn with_organisation(store: &Store) -> Self {
        let (user, organisation) = (new_user(store).await, OrganisationId::new());
        let record = OrganisationRecord::new(organisation, "Elsewhere");
        let owner = MemberRecord::new(organisation, user, MemberRole::Owner);
        expect(store.organisations().create(&record, &owner).await, "the organisation");
        Self { token: token(store, Owner { user, organisation }).await, user, organisation }
    }

    /// Creates a user who is a member of an organisation.
    ///
    /// # Panics
    /// If there is no such organisation, or the store refuses it.
    pub async fn in_organisation(store: &Store, organisation: OrganisationId, role: MemberRole) -> Self {
        let user = new_user(store).await;
        Self::join(store, user, organisation, role).await
    }

    /// Makes a user a member of an organisation, with a token that acts in it.
    ///
    /// # Panics
    /// As [`Self::in_organisation`].
    pub async fn join(store: &Store, user: UserId, organisation: OrganisationId, role: MemberRole) -> Self {
        let record = expect(store.organisations().get(organisation).await, "the organisation");
        let record = record.unwrap_or_else(|| panic!("there is no organisation {organisation}"));
        let member = MemberRecord::new(organisation, user, role);
        expect(store.organisations().add_member(&record, &member).await, "the membership");
        Self { token: token(store, Owner { user, organisation }).await, user, organisation }
    }
}

/// Creates the operator's records, as a start of `hearth up` does; returns their organisation.
///
/// # Panics
/// If the store refuses it.
pub async fn operators_organisation(store: &Store) -> OrganisationId {
    let operator = expect(store.operator().await, "the operator");
    expect(store.create_operators_records(operator, "Operator", "Hearth").await, "the operator's records");
    OrganisationId::of_operator(operator)
}

async fn new_user(store: &Store) -> UserId {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let user = UserRecord::new(UserId::new(), format!("Person {}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    expect(store.users().create(&user).await, "the user");
    user.id
}

async fn token(store: &Store, owner: Owner) -> String {
    let token = ApiToken::generate();
    let record = TokenRecord {
        name: "person".to_owned(),
        prefix: token.prefix().to_owned(),
        scopes: Scope::ALL.to_vec(),
        ..TokenRecord::new(token.hash(), owner)
    };
    expect(store.tokens().create(&record).await, "the token's record");
    token.expose().to_owned()
}

fn expect<T>(result: Result<T, StoreError>, thing: &str) -> T {
    result.unwrap_or_else(|error| panic!("{thing}: {error}"))
}
