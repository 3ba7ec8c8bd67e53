//! Sockets: of nodes and clients, in a process that has them itself, and behind an emulated API Gateway.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cloud;
mod home;
mod responses;
mod subscriptions;
mod world;
