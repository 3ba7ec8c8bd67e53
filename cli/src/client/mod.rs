//! The client side of commands: they speak to a running gateway over HTTP, as any other client would, and print.
//!
//! [`connection`] has the flags with the gateway's address, [`base_url`] parses it, [`login_file`] the login at a gateway, [`commands_access`] the token
//! of this machine's commands, [`gateway_client`] sends requests, [`stream`] reads the events of a run, [`interrupt`] cancels a run
//! on Ctrl-C, [`poll`] waits for the end of work, [`error`] words errors, [`terminal`] and [`table`] print.

pub(crate) mod base_url;
pub(crate) mod commands_access;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod gateway_client;
pub(crate) mod interrupt;
pub(crate) mod login_file;
pub(crate) mod poll;
pub(crate) mod stream;
pub(crate) mod table;
pub(crate) mod terminal;

#[cfg(test)]
pub(crate) mod testing;

pub(crate) use commands_access::CommandsAccess;
pub(crate) use connection::Connection;
