//! One file per route.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod loaded;
pub(crate) mod status;
pub(crate) mod unload;
