//! Facts that a handler adds to the entry of its request.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::extract::FromRequestParts;
use hearth_domain::{OrganisationId, UserId};
use http::request::Parts;

/// Facts for the entry of the current request; handlers extract it. Ids only: never a secret, a name or an address of a
/// person.
///
/// Clones share the facts. In a request without an entry they go nowhere.
#[derive(Debug, Clone, Default)]
pub struct AuditNote(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) resources: Vec<String>,
    pub(super) details: BTreeMap<String, String>,
    pub(super) subject: Option<Subject>,
}

/// Caller of a route without a guard.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) user: UserId,
    pub(super) organisation: Option<OrganisationId>,
    pub(super) credential: Option<String>,
}

impl AuditNote {
    /// Adds the id of a thing that the request creates or changes. Ids of the path are in the entry already.
    pub fn resource(&self, id: impl Display) {
        self.noted().resources.push(id.to_string());
    }

    /// Adds a fact, such as the new role of a member.
    pub fn detail(&self, name: &str, value: impl Display) {
        self.noted().details.insert(name.to_owned(), value.to_string());
    }

    /// Names the user of a route without a guard, as soon as the user is known.
    pub fn subject(&self, user: UserId, organisation: Option<OrganisationId>, credential: Option<String>) {
        self.noted().subject = Some(Subject { user, organisation, credential });
    }

    pub(super) fn take(self) -> Noted {
        std::mem::take(&mut *self.noted())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AuditNote {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
