//! The client commands: they speak to a running gateway over HTTP, as any other client would.
//!
//! One file (or folder) per command: [`chat`], [`doctor`], [`generate`], [`models`], [`pull`], [`storage`]
//! and [`token`].
//! What they share: [`connection`] says where the gateway is, `http` asks it, `stream` reads its
//! events, `interrupt` turns Ctrl-C into a cancelled run, `terminal` and `table` print.

pub mod chat;
pub mod connection;
pub mod doctor;
pub mod error;
pub mod generate;
mod http;
mod interrupt;
pub mod key;
pub mod models;
pub mod pull;
mod sampling;
pub mod storage;
mod stream;
mod table;
pub(crate) mod terminal;
pub mod token;

#[cfg(test)]
mod testing;

pub use connection::Connection;
pub use error::quiet_exit;
