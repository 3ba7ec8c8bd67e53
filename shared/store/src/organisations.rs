//! Organisations, their members and their teams.
//!
//! An organisation is an item, and so is each membership and each team, in the organisation's partition. Each has a
//! revision: a change is conditional on the one that was read, so that of two concurrent changes one is a conflict. The
//! organisation's item counts its owners; a change of the count is a transaction with the membership's change.

mod records;

use hearth_domain::{MemberRole, OrganisationId, RevisionId, TeamId, UserId};
use serde::de::DeserializeOwned;

pub use records::{MemberRecord, OrganisationRecord, TeamRecord};

use crate::{
    StoreError, Table,
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort, Update, Write},
};

const VERSION: u32 = 1;
/// The partition of the index that lists all organisations.
const LIST: &str = "ORGS";
const MEMBER: &str = "MEMBER#";
const TEAM: &str = "TEAM#";

/// Organisations, their members and their teams.
#[derive(Debug, Clone, Copy)]
pub struct Organisations<'a>(pub(crate) &'a Table);

impl Organisations<'_> {
    /// Stores a new organisation together with its first owner.
    ///
    /// # Errors
    /// `Conflict` if there is an organisation with this id.
    pub async fn create(
        &self,
        organisation: &OrganisationRecord,
        owner: &MemberRecord,
    ) -> Result<(), StoreError> {
        let writes = vec![
            Write::Put(organisation_item(organisation)?, Condition::Absent),
            Write::Put(member_item(owner)?, Condition::Absent),
        ];
        self.0.transact(writes).await
    }

    /// An organisation.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: OrganisationId) -> Result<Option<OrganisationRecord>, StoreError> {
        self.0.get(&key(id)).await
    }

    /// A page of all organisations, oldest first, behind the one with the id `after`; and whether more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        after: Option<OrganisationId>,
        limit: u32,
    ) -> Result<(Vec<OrganisationRecord>, bool), StoreError> {
        let cursor = |id| Cursor { key: key(id), index: Some(Key::new(LIST, id.to_string())) };
        let after = after.map(cursor);
        self.read_page(Query { after, limit: Some(limit), ..Query::of(Index::Gsi1, LIST, Sort::All) }).await
    }

    /// Changes name, regions and state of an organisation that was read as `before`. Returns the new record.
    ///
    /// # Errors
    /// `Conflict` if it has been changed or deleted since.
    pub async fn change(
        &self,
        before: &OrganisationRecord,
        after: OrganisationRecord,
    ) -> Result<OrganisationRecord, StoreError> {
        let after = OrganisationRecord { revision: RevisionId::new(), owners: before.owners, ..after };
        self.0.put(organisation_item(&after)?, unchanged(before.revision)).await?;
        Ok(after)
    }

    /// Deletes an organisation with the last of its members. The other members and the teams are deleted before.
    ///
    /// # Errors
    /// `Conflict` if it has been changed since it was read.
    pub async fn delete(&self, organisation: &OrganisationRecord) -> Result<(), StoreError> {
        let id = organisation.id;
        for team in self.teams(id).await? {
            self.delete_team(&team).await?;
        }
        let mut members = self.members(id).await?;
        // An owner is the last, who can repeat a deletion that was interrupted.
        members.sort_by_key(|member| member.role == MemberRole::Owner);
        let last = members.pop();
        for member in members {
            self.0.delete(member_key(id, member.user)).await?;
        }
        let mut writes = vec![Write::Delete(key(id), unchanged(organisation.revision))];
        writes.extend(last.map(|last| Write::Delete(member_key(id, last.user), Condition::Always)));
        self.0.transact(writes).await
    }

    /// A user's membership of an organisation.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn member(
        &self,
        organisation: OrganisationId,
        user: UserId,
    ) -> Result<Option<MemberRecord>, StoreError> {
        self.0.get(&member_key(organisation, user)).await
    }

    /// All members of an organisation, in the order of their users' ids.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn members(&self, organisation: OrganisationId) -> Result<Vec<MemberRecord>, StoreError> {
        let query = Query::partition(partition(organisation), Sort::Prefix(MEMBER.to_owned()));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// A page of the members of an organisation, behind the one with the id `after`; and whether more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn members_page(
        &self,
        organisation: OrganisationId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<(Vec<MemberRecord>, bool), StoreError> {
        let after = after.map(|user| Cursor { key: member_key(organisation, user), index: None });
        let query = Query::partition(partition(organisation), Sort::Prefix(MEMBER.to_owned()));
        self.read_page(Query { after, limit: Some(limit), ..query }).await
    }

    /// A user's memberships, oldest organisation first. A membership of this moment may be missing: an index may be late.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<MemberRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, user_partition(user), Sort::All);
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// The writes that add a member: parts of one transaction, which others may belong to.
    ///
    /// # Errors
    /// Errors of the records' conversion. The transaction is a `Conflict` if the user is a member already and, for an owner,
    /// if the organisation has been changed since it was read.
    pub fn add_member_writes(
        organisation: &OrganisationRecord,
        member: &MemberRecord,
    ) -> Result<Vec<Write>, StoreError> {
        let mut writes = vec![Write::Put(member_item(member)?, Condition::Absent)];
        writes.extend(owner_count_write(organisation, false, member.role == MemberRole::Owner));
        Ok(writes)
    }

    /// Adds a member.
    ///
    /// # Errors
    /// As for [`Organisations::add_member_writes`].
    pub async fn add_member(
        &self,
        organisation: &OrganisationRecord,
        member: &MemberRecord,
    ) -> Result<(), StoreError> {
        self.0.transact(Self::add_member_writes(organisation, member)?).await
    }

    /// Changes the role and the teams of a member who was read as `before`. Returns the new record.
    ///
    /// # Errors
    /// `Conflict` if the membership has been changed since, or the number of owners changes and the organisation has been
    /// changed since.
    pub async fn change_member(
        &self,
        organisation: &OrganisationRecord,
        before: &MemberRecord,
        after: MemberRecord,
    ) -> Result<MemberRecord, StoreError> {
        let after = MemberRecord { revision: RevisionId::new(), ..after };
        let mut writes = vec![Write::Put(member_item(&after)?, unchanged(before.revision))];
        let (was_owner, is_owner) = (before.role == MemberRole::Owner, after.role == MemberRole::Owner);
        writes.extend(owner_count_write(organisation, was_owner, is_owner));
        self.0.transact(writes).await?;
        Ok(after)
    }

    /// The writes that remove a member: parts of one transaction, which others may belong to. The transaction is a
    /// `Conflict` as for [`Organisations::change_member`].
    #[must_use]
    pub fn remove_member_writes(organisation: &OrganisationRecord, member: &MemberRecord) -> Vec<Write> {
        let mut writes =
            vec![Write::Delete(member_key(member.organisation, member.user), unchanged(member.revision))];
        writes.extend(owner_count_write(organisation, member.role == MemberRole::Owner, false));
        writes
    }

    /// Removes a member.
    ///
    /// # Errors
    /// As for [`Organisations::change_member`].
    pub async fn remove_member(
        &self,
        organisation: &OrganisationRecord,
        member: &MemberRecord,
    ) -> Result<(), StoreError> {
        self.0.transact(Self::remove_member_writes(organisation, member)).await
    }

    /// Stores a new team.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn create_team(&self, team: &TeamRecord) -> Result<(), StoreError> {
        self.0.put(team_item(team)?, Condition::Absent).await
    }

    /// A team.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn team(
        &self,
        organisation: OrganisationId,
        id: TeamId,
    ) -> Result<Option<TeamRecord>, StoreError> {
        self.0.get(&team_key(organisation, id)).await
    }

    /// The teams of an organisation, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn teams(&self, organisation: OrganisationId) -> Result<Vec<TeamRecord>, StoreError> {
        let query = Query::partition(partition(organisation), Sort::Prefix(TEAM.to_owned()));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// Changes a team that was read as `before`. Returns the new record.
    ///
    /// # Errors
    /// `Conflict` if it has been changed or deleted since.
    pub async fn change_team(
        &self,
        before: &TeamRecord,
        after: TeamRecord,
    ) -> Result<TeamRecord, StoreError> {
        let after = TeamRecord { revision: RevisionId::new(), ..after };
        self.0.put(team_item(&after)?, unchanged(before.revision)).await?;
        Ok(after)
    }

    /// Deletes a team. Its members' records are changed before.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete_team(&self, team: &TeamRecord) -> Result<(), StoreError> {
        self.0.delete(team_key(team.organisation, team.id)).await
    }

    async fn read_page<T: DeserializeOwned>(&self, query: Query) -> Result<(Vec<T>, bool), StoreError> {
        let page = self.0.page(&query).await?;
        let records: Result<Vec<T>, StoreError> = page.items.iter().map(Item::read).collect();
        Ok((records?, page.next.is_some()))
    }
}

/// The change of the organisation's number of owners, if a membership's change is one.
fn owner_count_write(organisation: &OrganisationRecord, was_owner: bool, is_owner: bool) -> Option<Write> {
    let owners = match (was_owner, is_owner) {
        (false, true) => organisation.owners.saturating_add(1),
        (true, false) => organisation.owners.saturating_sub(1),
        _ => return None,
    };
    let set = vec![("owners", owners.into()), ("revision", RevisionId::new().to_string().into())];
    let update = Update { set, ..Update::default() };
    Some(Write::Update(key(organisation.id), update, unchanged(organisation.revision)))
}

fn unchanged(revision: RevisionId) -> Condition {
    Condition::AttributeEquals("revision", revision.to_string())
}

fn organisation_item(organisation: &OrganisationRecord) -> Result<Item, StoreError> {
    let item = Item::new(key(organisation.id), VERSION, organisation)?;
    Ok(item.in_gsi1(LIST, organisation.id.to_string()))
}

fn member_item(member: &MemberRecord) -> Result<Item, StoreError> {
    let item = Item::new(member_key(member.organisation, member.user), VERSION, member)?;
    Ok(item.in_gsi1(user_partition(member.user), member.organisation.to_string()))
}

fn team_item(team: &TeamRecord) -> Result<Item, StoreError> {
    Item::new(team_key(team.organisation, team.id), VERSION, team)
}

fn partition(organisation: OrganisationId) -> String {
    format!("ORG#{organisation}")
}

/// The organisations of a user, in the index.
fn user_partition(user: UserId) -> String {
    format!("MEMBER#{user}")
}

fn key(id: OrganisationId) -> Key {
    Key::new(partition(id), META)
}

fn member_key(organisation: OrganisationId, user: UserId) -> Key {
    Key::new(partition(organisation), format!("{MEMBER}{user}"))
}

fn team_key(organisation: OrganisationId, id: TeamId) -> Key {
    Key::new(partition(organisation), format!("{TEAM}{id}"))
}
