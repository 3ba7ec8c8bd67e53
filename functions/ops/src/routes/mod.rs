//! Handlers, one file per resource.

pub(crate) mod docs;
pub(crate) mod probes;
