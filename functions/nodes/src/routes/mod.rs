//! Handlers, by resource.

pub(crate) mod enrolment;
pub(crate) mod nodes;
pub(crate) mod relay;
pub(crate) mod wake;
