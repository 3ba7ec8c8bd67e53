//! What a client was given is there after the process has been killed or stopped, whatever the load.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

mod costs;
mod cut;
mod kill;
mod limits;
mod load;
mod stop;
mod vendor;
