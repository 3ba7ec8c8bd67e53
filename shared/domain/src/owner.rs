//! Owners of things.

use crate::{OrganisationId, UserId};

/// The owner of a thing: a user within an organisation. The same user has other things in another organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The user.
    pub user: UserId,
    /// The organisation.
    pub organisation: OrganisationId,
}

impl Owner {
    /// The owner by a record. One from before there were organisations names none, and is the operator's.
    #[must_use]
    pub fn of_record(user: UserId, organisation: Option<OrganisationId>) -> Self {
        Self { user, organisation: organisation.unwrap_or_else(|| OrganisationId::of_operator(user)) }
    }
}
