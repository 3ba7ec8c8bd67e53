//! The Lambda Runtime API (2018-06-01) for one function process on this machine: what a function's
//! binary talks to when it runs on AWS, without AWS.
//!
//! - [`Emulator`] starts a function and invokes it with events.
//! - [`Invocation`] is its answer as API Gateway would pass it on, buffered or streamed.
//! - [`measure()`] tells how fast a function starts and answers.
//!
//! As on Lambda, one process works on one event at a time: invocations that overlap wait their turn.

#![warn(missing_docs)]

mod emulator;
mod failure;
mod integration;
mod measure;
mod output;
mod process;
mod runtime_api;

pub use emulator::{Emulator, InFlight, Invocation};
pub use failure::{Cause, Failure};
pub use measure::{Measurement, Spread, measure};
