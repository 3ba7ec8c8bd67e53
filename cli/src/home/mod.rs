//! The parts of a process that serves: stores, HTTP server, default model, node, banner and shutdown.

pub(crate) mod banner;
pub(crate) mod data_lock;
pub(crate) mod identity;
pub(crate) mod listeners;
pub(crate) mod local_node;
pub(crate) mod model;
pub(crate) mod model_folder;
pub(crate) mod node_config;
pub(crate) mod shutdown;
pub(crate) mod stores;
pub(crate) mod temporary;
pub(crate) mod tls;
