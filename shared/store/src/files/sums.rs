//! Sums of the files of a user and of an organisation.

use hearth_domain::{OrganisationId, Owner};

use crate::database::{Key, META};

pub(super) use crate::quota::{add, delete_empty, subtract};

pub(super) fn of_user(owner: Owner) -> Key {
    Key::new(format!("FILESUM#{}#{}", owner.organisation, owner.user), META)
}

/// The uploads of a user that aren't completed.
pub(super) fn of_uploads(owner: Owner) -> Key {
    Key::new(of_user(owner).pk, "UPLOADS")
}

pub(super) fn of_organisation(organisation: OrganisationId) -> Key {
    Key::new(format!("FILESUM#{organisation}"), META)
}
