//! One file per route.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod loaded;
pub(crate) mod ollama;
pub(crate) mod provider_key_remove;
pub(crate) mod provider_key_set;
pub(crate) mod provider_list;
pub(crate) mod remove;
pub(crate) mod status;
pub(crate) mod unload;
