//! A gateway at home, a node behind a [`FaultProxy`], and a client that tolerates broken streams.

mod answer;
mod node_process;
mod scripted;
mod world;

pub use answer::{RelayAnswer, RelayStream, history, long_request, reference_text};
pub use node_process::NodeProcess;
pub use scripted::{ScriptedNode, ScriptedRun, enrolment_code, scripted_model};
pub use world::{RelayWorld, wait_for_model};
