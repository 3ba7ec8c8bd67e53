//! Handlers, one file per resource.

pub(crate) mod access_keys;
pub(crate) mod admin;
pub(crate) mod audit;
pub(crate) mod consents;
pub(crate) mod erasures;
pub(crate) mod invites;
pub(crate) mod limits;
pub(crate) mod logins;
pub(crate) mod member_tokens;
pub(crate) mod members;
pub(crate) mod organisations;
pub(crate) mod provider_keys;
pub(crate) mod sign_in;
pub(crate) mod signing_keys;
pub(crate) mod teams;
pub(crate) mod tokens;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod webhooks;
