//! Durability: answers that a client has received are stored, even if the process is killed or stopped under load.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

mod budgets;
mod costs;
mod cut;
mod deletion;
mod full_disk;
mod kill;
mod large_run;
mod limits;
mod load;
mod locked;
mod scheduling_delay;
mod stop;
mod syncs;
mod vendor;
