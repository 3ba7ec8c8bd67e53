//! Handlers, one file per resource.

pub(crate) mod tokens;
