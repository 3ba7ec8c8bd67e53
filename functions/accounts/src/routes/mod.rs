//! One file per route.

pub(crate) mod token_create;
pub(crate) mod token_list;
pub(crate) mod token_revoke;
