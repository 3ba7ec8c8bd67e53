//! Tools of the end-to-end suites in `suites/`: real processes, real sockets, a real small model.
//!
//! - [`Home`] is a `hearth up` of its own for each test, in a temporary folder, on free ports; [`Setup`]
//!   says with which settings and models.
//! - [`Cloud`] is the same product in its other shape: function processes under the Lambda emulator,
//!   the stores behind a socket, and a `hearth node`. Its `api` serves all functions over HTTP, as API Gateway does.
//! - [`Moto`] is a table, a bucket and secrets in a moto server, for the tests `in_moto`.
//! - [`Client`] asks either over HTTP; [`Events`] reads what streams.
//! - [`Socket`] is a WebSocket of a client or a node.
//! - [`Upstream`] plays a vendor's API, as well or as badly as a test wants it; [`Collector`] an OpenTelemetry collector;
//!   [`OpenIdProvider`] an identity provider.
//! - [`WebhookReceiver`] is an endpoint of webhooks.
//! - [`Person`] is a further user, with an organisation and a token.
//! - [`relay`] has a gateway, and nodes that reach it through a [`FaultProxy`].
//! - [`definition_record`], [`upload_record`], [`webhook_record`] and [`delivery_record`] are records for the store.
//! - [`eventually`] waits for what is only visible by asking again.
//!
//! Nothing outlives its test: every process is killed when its owner is dropped. The binaries are those
//! of `cargo build --workspace --all-targets`, beside the test's own.

mod backends;
mod binaries;
mod client;
mod cloud;
mod cloud_api;
mod collector;
mod home;
mod job_queue;
mod model;
mod moto;
mod openapi;
mod openid;
mod people;
pub mod permission_matrix;
mod process;
mod records;
pub mod relay;
mod requests;
mod roles;
mod socket;
mod stream;
mod system;
mod upstream;
mod wait;
mod webhook_receiver;

pub use backends::{own_selector, program_without_backends, wrap_backend};
pub use binaries::{backend_results, binary};
pub use client::{Answer, Client};
pub use cloud::{Cloud, create_token};
pub use cloud_api::serve_api;
pub use collector::{Collector, ReceivedSpan};
pub use fault_proxy::{Exchange, Fault, FaultProxy, MessageFault, Network};
pub use home::{Home, Setup};
pub use job_queue::{JOB_QUEUES, WORKER};
pub use model::{
    copy_image_model, copy_with_context, copy_with_fim_tokens, corrupt_copy, tiny_chat, tiny_diffusion,
    truncated_copy, whole_copy,
};
pub use moto::Moto;
pub use openapi::check as check_documented;
pub use openid::OpenIdProvider;
pub use people::{Person, operators_organisation};
pub use process::{Ended, Process, hearth, hearth_under, is_running, run, signal};
pub use records::{definition_record, delivery_record, first_version, upload_record, webhook_record};
pub use requests::{cancel_run, chat_request, dense_text, endless_run, endless_run_of};
pub use socket::Socket;
pub use stream::{Event, Events};
pub use system::{in_namespaces, is_root, skip};
pub use upstream::{Received, Reply, Upstream};
pub use wait::{DEADLINE, eventually, within};
pub use webhook_receiver::{WebhookReceiver, WebhookReply, WebhookRequest};
