//! `hearth-diffusion`: the engine for image models. A node starts it for each loaded image model, with a socket as standard
//! input, and speaks with it by `hearth_worker::frames`.
//!
//! ```text
//! worker.rs: the socket ─▶ painter.rs: one thread ─▶ model.rs ─▶ pipeline.rs: Stable Diffusion ─▶ denoise.rs: the steps
//!                                                            └─▶ flux/: FLUX.1 ────────────────┘
//! ```
//!
//! - [`request`] reads a task, [`image_io`] its images; [`tokenizer`] and [`text_encoder`] make the prompt a condition.
//! - [`denoise`] has the loop from noise to a picture, [`sampler`] the noise schedule of Stable Diffusion, [`unet`] its network of
//!   a step, [`autoencoder`] the way from and to pixels.
//! - [`flux`] has FLUX.1's transformer, noise schedule and text encoder T5, and reads GGUF.
//! - [`weights`] reads tensors by the names of the library diffusers, whatever the names in the file ([`names`]);
//!   [`settings`] has the networks' dimensions, of the folder's configurations or of the tensors' shapes.
//!
//! The networks' blocks are those of `candle-transformers`. Everything is safe Rust: a broken file is an error, not a crash.

mod autoencoder;
mod denoise;
mod error;
mod flux;
mod image_io;
mod memory;
mod model;
mod names;
mod painter;
mod pipeline;
mod preview;
mod request;
mod sampler;
mod settings;
mod text_encoder;
mod tokenizer;
mod unet;
mod weights;
mod worker;

use anyhow::Result;
use clap::Parser;
use hearth_worker::confine;

/// The engine for image models. The node starts it; it is of no use by itself.
#[derive(Debug, Parser)]
#[command(name = "hearth-diffusion", version)]
struct Arguments {
    /// The confinement of the process, as JSON
    #[arg(long)]
    confinement: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Before a thread starts: most restrictions hold for the threads that start afterwards.
    let confined = match &arguments.confinement {
        Some(confinement) => confine::apply(&serde_json::from_str(confinement)?),
        None => Ok(()),
    };
    hearth_telemetry::logs::to_supervisor("warn")?;
    if let Err(reason) = confined {
        tracing::warn!(reason, "the worker is confined less than it could be");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(worker::run());
    // A picture that is being made is for nobody any more.
    runtime.shutdown_background();
    Ok(outcome?)
}
