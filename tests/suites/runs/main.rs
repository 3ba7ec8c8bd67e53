//! Runs when somebody goes away: the client, the gateway, the node, or the connection between them. Each cell of the table in
//! `docs/runs.md` is a test. And what is read of a run later: its events, and the responses of OpenAI's dialect.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod background;
mod client_goes;
mod gateway_goes;
mod node_goes;
mod place;
mod resume;
mod socket;
