//! Emulator of the Lambda Runtime API (2018-06-01) for one function process on this machine.
//!
//! - [`Emulator`] starts a function and invokes it with events.
//! - [`Invocation`] is its response as API Gateway would pass it on, buffered or streamed.
//! - [`ApiGateway`] serves the API of a SAM template over HTTP, with its functions in such processes.
//! - [`WebSocketApi`] accepts sockets before a function, and has the management API by which messages are sent over them.
//! - [`measure()`] measures the times of a function's start and responses.
//!
//! As on Lambda, a process handles one event at a time; concurrent invocations are queued.

#![warn(missing_docs)]

mod api_gateway;
mod emulator;
mod failure;
mod integration;
mod measure;
mod output;
mod process;
mod runtime_api;
mod websocket_api;

pub use api_gateway::{ApiGateway, FunctionProgram, MediaTypes, Placement};
pub use emulator::{Emulator, InFlight, Invocation};
pub use failure::{Cause, Failure};
pub use measure::{Measurement, Spread, measure};
pub use runtime_api::XRAY_IDS;
pub use websocket_api::{Authorise, SocketLimits, WebSocketApi, WebSocketPort};
