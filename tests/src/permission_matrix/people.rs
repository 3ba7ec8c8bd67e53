//! People of the matrix, with their credentials and things.

use hearth_auth::{AccessKey, ApiToken};
use hearth_domain::{AccessKeyId, Action, MemberRole, OrganisationId, Owner, Scope, ScopeSet, Timestamp};
use hearth_store::{Store, StoreError, access_keys::AccessKeyRecord, tokens::TokenRecord, users::UserRecord};

use super::{
    Operation, Things,
    credentials::{Credential, Kind, all_but, invalid},
};
use crate::people::{Person, operators_organisation};

/// People, credentials and things.
#[derive(Debug)]
pub struct People {
    /// Credentials of every kind.
    pub credentials: Vec<Credential>,
    /// A token of an owner of the operator's organisation, with every scope.
    pub colleague: String,
    /// A token of an owner of another organisation, with every scope.
    pub foreigner: String,
    /// Things of a member of the operator's organisation, who isn't the colleague.
    pub things: Things,
}

/// A cell of a credential that has the permission. Its owner is in no other cell: the operation may change or erase them.
#[derive(Debug)]
pub struct Allowed {
    /// The index of the operation.
    pub operation: usize,
    /// The kind of the credential.
    pub group: String,
    /// Its text.
    pub token: String,
    /// The things that the path names: the caller's organisation, and others that aren't there.
    pub things: Things,
}

impl People {
    /// Creates the people.
    ///
    /// # Panics
    /// If the store refuses it.
    pub async fn create(store: &Store) -> Self {
        let operators = operators_organisation(store).await;
        let foreigner = Person::with_organisation(store).await;
        let mut credentials = invalid();
        for (organisation, is_operator) in [(operators, true), (foreigner.organisation, false)] {
            for role in MemberRole::ALL {
                let person = Person::in_organisation(store, organisation, role).await;
                let kind = Kind::Token { role, is_operator, scopes: ScopeSet::ALL };
                credentials.push(of(role_group(role, is_operator), person.token, kind));
            }
        }
        let owner = Person::in_organisation(store, operators, MemberRole::Owner).await;
        let owner = Owner { user: owner.user, organisation: operators };
        for lacking in Scope::ALL {
            let scopes = all_but(lacking);
            let text = token(store, owner, scopes, |_| ()).await;
            let kind = Kind::Token { role: MemberRole::Owner, is_operator: true, scopes };
            credentials.push(of("missing scope".to_owned(), text, kind));
        }
        let past = Timestamp::from_unix(Timestamp::now().unix() - 1);
        let expired = token(store, owner, ScopeSet::ALL, |token| token.expires_at = Some(past)).await;
        let revoked = token(store, owner, ScopeSet::ALL, |token| token.revoked_at = Some(past)).await;
        credentials.push(of("expired token".to_owned(), expired, Kind::Invalid));
        credentials.push(of("revoked token".to_owned(), revoked, Kind::Invalid));
        let former = Owner { organisation: foreigner.organisation, ..owner };
        let former = token(store, former, ScopeSet::ALL, |_| ()).await;
        credentials.push(of("token of no member".to_owned(), former, Kind::Invalid));
        let disabled = Person::in_organisation(store, operators, MemberRole::Owner).await;
        let disable = |user: &mut UserRecord| {
            user.disabled_at = Some(past);
            true
        };
        expect(store.users().change(disabled.user, disable).await, "a disabled user");
        credentials.push(of("token of a disabled user".to_owned(), disabled.token, Kind::Invalid));
        credentials.push(of("access key".to_owned(), access_key(store, owner, None).await, Kind::AccessKey));
        let revoked = access_key(store, owner, Some(past)).await;
        credentials.push(of("revoked access key".to_owned(), revoked, Kind::Invalid));
        let colleague = Person::in_organisation(store, operators, MemberRole::Owner).await.token;
        let member = Person::in_organisation(store, operators, MemberRole::Developer).await;
        let things = Things::create(store, Owner { user: member.user, organisation: operators }).await;
        Self { credentials, colleague, foreigner: foreigner.token, things }
    }

    /// Creates a person for each cell whose credential has the permission: each role that has it, and an owner's token with the
    /// action's scope alone.
    ///
    /// # Panics
    /// If the store refuses it.
    pub async fn create_allowed(store: &Store, operations: &[Operation]) -> Vec<Allowed> {
        let operators = operators_organisation(store).await;
        let mut cells = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            let Some(permission) = operation.action.map(Action::permission) else { continue };
            for is_operator in [true, false] {
                let roles = permission.roles.iter().filter(|role| permission.is_allowed(**role, is_operator));
                cells.extend(roles.map(|role| (index, *role, is_operator, ScopeSet::ALL)));
            }
            cells.push((index, MemberRole::Owner, true, ScopeSet::of(&[permission.scope])));
        }
        // One after the other: each owner changes the record of the organisation.
        let mut allowed = Vec::new();
        for (operation, role, is_operator, scopes) in cells {
            let organisation = if is_operator { operators } else { new_organisation(store).await };
            let person = Person::in_organisation(store, organisation, role).await;
            let owner = Owner { user: person.user, organisation };
            let (group, token) = match scopes == ScopeSet::ALL {
                true => (format!("{}, allowed", role_group(role, is_operator)), person.token),
                false => (
                    "the action's scope alone, allowed".to_owned(),
                    token(store, owner, scopes, |_| ()).await,
                ),
            };
            let things = Things::in_organisation(organisation);
            allowed.push(Allowed { operation, group, token, things });
        }
        allowed
    }
}

fn role_group(role: MemberRole, is_operator: bool) -> String {
    let of = if is_operator { "the operator's organisation" } else { "another organisation" };
    format!("{} of {of}", role.as_str())
}

fn of(group: String, text: String, kind: Kind) -> Credential {
    Credential { group, text: Some(text), kind }
}

async fn new_organisation(store: &Store) -> OrganisationId {
    Person::with_organisation(store).await.organisation
}

async fn token(
    store: &Store,
    owner: Owner,
    scopes: ScopeSet,
    change: impl FnOnce(&mut TokenRecord),
) -> String {
    let token = ApiToken::generate();
    let mut record = TokenRecord {
        name: "matrix".to_owned(),
        scopes: scopes.iter().collect(),
        ..TokenRecord::new(token.hash(), owner)
    };
    change(&mut record);
    expect(store.tokens().create(&record).await, "a token");
    token.expose().to_owned()
}

async fn access_key(store: &Store, owner: Owner, revoked_at: Option<Timestamp>) -> String {
    let key = AccessKey::generate();
    let record = AccessKeyRecord {
        id: AccessKeyId::new(),
        hash: key.hash(),
        owner: owner.user,
        organisation: owner.organisation,
        name: "matrix".to_owned(),
        prefix: key.prefix().to_owned(),
        models: vec!["tiny-chat".to_owned()],
        created_at: Timestamp::now(),
        expires_at: None,
        revoked_at,
    };
    expect(store.access_keys().create(&record).await, "an access key");
    key.expose().to_owned()
}

pub(super) fn expect<T>(result: Result<T, StoreError>, thing: &str) -> T {
    result.unwrap_or_else(|error| panic!("{thing}: {error}"))
}
