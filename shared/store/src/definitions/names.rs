//! Definitions by their names: a copy of each record in the scope in which its name is unique.

use hearth_domain::{DefinitionKind, OrganisationId, Owner, TeamId, Visibility};

use super::{DefinitionRecord, Definitions, names_pk, read, stored_at};
use crate::{
    StoreError,
    database::{Condition, Cursor, Item, Key, Query, Sort, Write},
};

/// The scope of the public definitions of all organisations.
const PUBLIC: &str = "PUBLIC";

/// A list of definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinitionScope {
    /// The private ones of a user.
    User(Owner),
    /// Definitions of a team.
    Team(OrganisationId, TeamId),
    /// Definitions of an organisation, its public ones too.
    Organisation(OrganisationId),
    /// The public ones of all organisations.
    Public,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefinitionPage {
    /// The definitions, by name.
    pub definitions: Vec<DefinitionRecord>,
    /// The position of the next page; `None` after the last one.
    pub next: Option<String>,
}

impl DefinitionScope {
    fn text(self) -> String {
        match self {
            Self::User(owner) => format!("{}#{}", owner.organisation, owner.user),
            Self::Team(organisation, team) => format!("{organisation}#{team}"),
            Self::Organisation(organisation) => organisation.to_string(),
            Self::Public => PUBLIC.to_owned(),
        }
    }
}

impl Definitions<'_> {
    /// The definition with this name in a scope other than the public one.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn named(
        &self,
        kind: DefinitionKind,
        scope: DefinitionScope,
        name: &str,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        let key = Key::new(names_pk(kind, &scope.text()), name);
        self.0.get_item(&key).await?.as_ref().map(read).transpose()
    }

    /// A page of a scope's definitions, by name. `after`: the position at which the page before has ended.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        kind: DefinitionKind,
        scope: DefinitionScope,
        after: Option<&str>,
        limit: u32,
    ) -> Result<DefinitionPage, StoreError> {
        let pk = names_pk(kind, &scope.text());
        let mut query = Query::partition(&pk, Sort::All);
        query.limit = Some(limit);
        query.after = after.map(|sk| Cursor { key: Key::new(&pk, sk), index: None });
        let page = self.0.page(&query).await?;
        let next = page.next.and(page.items.last()).map(|item| item.key.sk.clone());
        let definitions = page.items.iter().map(read).collect::<Result<_, _>>()?;
        Ok(DefinitionPage { definitions, next })
    }

    /// Number of definitions in a scope, counted up to `limit`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn count(
        &self,
        kind: DefinitionKind,
        scope: DefinitionScope,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let mut query = Query::partition(names_pk(kind, &scope.text()), Sort::All);
        let mut count = 0;
        loop {
            query.limit = Some(limit.saturating_sub(count).max(1));
            let page = self.0.page(&query).await?;
            count = count.saturating_add(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
            if page.next.is_none() || count >= limit {
                return Ok(count);
            }
            query.after = page.next;
        }
    }
}

/// The writes of the copies. `condition` is that of the copy in its scope, where its name is unique.
pub(super) fn puts(record: &DefinitionRecord, condition: Condition) -> Result<Vec<Write>, StoreError> {
    let copy = |key: Key| -> Result<Item, StoreError> { stored_at(key, record) };
    let mut writes = vec![Write::Put(copy(key_of(record))?, condition)];
    if record.visibility == Visibility::Public {
        writes.push(Write::Put(copy(public_key(record))?, Condition::Always));
    }
    Ok(writes)
}

/// The key of the copy in the record's scope.
pub(super) fn key_of(record: &DefinitionRecord) -> Key {
    Key::new(names_pk(record.id.kind(), &record.scope().text()), &record.name)
}

/// The key of the copy among the public definitions.
pub(super) fn public_key(record: &DefinitionRecord) -> Key {
    Key::new(names_pk(record.id.kind(), PUBLIC), format!("{}#{}", record.name, record.id))
}
