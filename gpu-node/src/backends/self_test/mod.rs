//! The self-test of backends: what runs in the child process, the `engine self-test` command.
//!
//! The child loads the libraries that it is given and nothing else. For each type of weights it runs a model of one
//! layer ([`model_file`]) with random weights ([`weights`]), a single token (decode) and many at once (prefill), and
//! then one prompt of the model that comes with Hearth ([`chat`]). llama.cpp loads these like any model, so its
//! repacked, tiled and fused kernels are reached as in real use. The child judges nothing: it prints its numbers,
//! and the parent compares them.

pub(super) mod chat;
mod model_file;
mod weights;

use std::{
    io::{self, Write as _},
    num::NonZeroU32,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use llama_cpp_2::{
    LlamaBackendDevice, LlamaBackendDeviceType,
    context::{LlamaContext, params::LlamaContextParams},
    list_llama_ggml_backend_devices,
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};
use serde::{Deserialize, Serialize};

use crate::engines::llama::backend;

/// Rows of the prefill case: two tiles of 16 rows, as AMX has them, and a remainder.
const PREFILL_ROWS: usize = 40;
/// Tokens of a test's context.
const CONTEXT_TOKENS: u32 = 256;
/// Threads that a test computes with. Several wait for each other after each of many small operations: on a busy
/// machine a test took ten times as long with two.
const THREADS: i32 = 1;

/// What a self-test prints, one line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The cases that follow run on this device.
    Device {
        /// Its name, such as `CUDA0`.
        name: String,
    },
    /// The libraries for GPUs found none.
    NoDevice,
    /// A case begins: what computes from here on is to blame.
    Case {
        /// Its name, such as `Q4_0, 1 row`.
        name: String,
    },
    /// What it computed.
    Values {
        /// The bits of each `f32`: JSON has no NaN.
        bits: Vec<u32>,
    },
    /// What the chat model answered.
    Text {
        /// Its text.
        text: String,
    },
    /// The engine reported an error.
    Failed {
        /// What it said.
        reason: String,
    },
    /// The last event of a test that came to its end.
    Done,
}

/// Runs the test with exactly these libraries, writing models to `folder`, and prints its events. `chat_model` is
/// the file of the model that comes with Hearth.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(libraries: &[PathBuf], folder: &Path, chat_model: &[u8]) -> io::Result<()> {
    end_with_parent();
    let test = Test { folder, chat_model };
    match test.run(libraries) {
        Ok(()) => print(&Event::Done),
        Err(Stop::Engine(reason)) => print(&Event::Failed { reason }),
        Err(Stop::Output(error)) => Err(error),
    }
}

/// Ends this process, even one that hangs, when the parent closes the pipe to its standard input or ends.
pub(super) fn end_with_parent() {
    let is_pipe = std::fs::metadata("/dev/stdin").is_ok_and(|stdin| stdin.file_type().is_fifo());
    if is_pipe {
        std::thread::spawn(|| {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            std::process::exit(EX_IOERR);
        });
    }
}

/// `sysexits.h`: the other side is gone.
const EX_IOERR: i32 = 74;

/// What ends a test early.
enum Stop {
    Engine(String),
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands an error over")]
fn engine(error: impl ToString) -> Stop {
    Stop::Engine(error.to_string())
}

struct Test<'a> {
    folder: &'a Path,
    chat_model: &'a [u8],
}

impl Test<'_> {
    fn run(&self, libraries: &[PathBuf]) -> Result<(), Stop> {
        let backend = backend::init(libraries).map_err(engine)?;
        self.write_models().map_err(engine)?;
        let devices = list_llama_ggml_backend_devices();
        let gpus: Vec<&LlamaBackendDevice> = devices.iter().filter(|device| is_gpu(device)).collect();
        for gpu in &gpus {
            print(&Event::Device { name: gpu.name.clone() })?;
            self.run_on(&backend, Some(gpu.index))?;
        }
        if !gpus.is_empty() {
            return Ok(());
        }
        // Beside a processor's variant there is a library for something that this machine has not.
        let helps = devices.iter().any(|device| device.device_type == LlamaBackendDeviceType::Accelerator);
        if libraries.len() > 1 && !helps {
            return Ok(print(&Event::NoDevice)?);
        }
        self.run_on(&backend, None)
    }

    fn write_models(&self) -> io::Result<()> {
        for case in &weights::CASES {
            std::fs::write(self.folder.join(case.file_name()), model_file::bytes(case))?;
        }
        std::fs::write(self.folder.join(chat::FILE), self.chat_model)
    }

    /// Every case, on a GPU or on the processor.
    fn run_on(&self, backend: &LlamaBackend, gpu: Option<usize>) -> Result<(), Stop> {
        let tokens: Vec<LlamaToken> = (0..PREFILL_ROWS).map(|n| LlamaToken((n * 37 % 251) as i32)).collect();
        for case in &weights::CASES {
            print(&Event::Case { name: format!("loading {}", case.name) })?;
            let model = load(backend, &self.folder.join(case.file_name()), gpu)?;
            let mut context = new_context(backend, &model)?;
            for (rows, name) in [(1, "1 row".to_owned()), (PREFILL_ROWS, format!("{PREFILL_ROWS} rows"))] {
                print(&Event::Case { name: format!("{}, {name}", case.name) })?;
                context.clear_kv_cache();
                let bits = decode(&mut context, &tokens[..rows], 0, true)?;
                print(&Event::Values { bits: bits.iter().map(|value| value.to_bits()).collect() })?;
            }
        }
        print(&Event::Case { name: chat::NAME.to_owned() })?;
        let model = load(backend, &self.folder.join(chat::FILE), gpu)?;
        let mut context = new_context(backend, &model)?;
        let text = chat::answer(&model, &mut context).map_err(Stop::Engine)?;
        Ok(print(&Event::Text { text })?)
    }
}

fn is_gpu(device: &LlamaBackendDevice) -> bool {
    matches!(device.device_type, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu)
}

fn load(backend: &LlamaBackend, path: &Path, gpu: Option<usize>) -> Result<LlamaModel, Stop> {
    let params = LlamaModelParams::default();
    let params = match gpu {
        // More than there are, as by default for every model.
        Some(index) => params.with_n_gpu_layers(999).with_devices(&[index]).map_err(engine)?,
        None => params.with_n_gpu_layers(0),
    };
    LlamaModel::load_from_file(backend, path, &params).map_err(engine)
}

fn new_context<'a>(backend: &LlamaBackend, model: &'a LlamaModel) -> Result<LlamaContext<'a>, Stop> {
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(CONTEXT_TOKENS))
        .with_n_batch(CONTEXT_TOKENS)
        .with_n_threads(THREADS)
        .with_n_threads_batch(THREADS)
        .with_no_perf(true);
    model.new_context(backend, params).map_err(engine)
}

/// Decodes `tokens` from `position` on, and gives the logits of each, or of the last alone.
fn decode(
    context: &mut LlamaContext<'_>,
    tokens: &[LlamaToken],
    position: usize,
    every: bool,
) -> Result<Vec<f32>, Stop> {
    let mut batch = LlamaBatch::new(tokens.len(), 1);
    for (n, token) in tokens.iter().enumerate() {
        let wanted = every || n + 1 == tokens.len();
        batch.add(*token, (position + n) as i32, &[0], wanted).map_err(engine)?;
    }
    context.decode(&mut batch).map_err(engine)?;
    let first = if every { 0 } else { tokens.len().saturating_sub(1) };
    Ok((first..tokens.len()).flat_map(|n| context.get_logits_ith(n as i32).to_vec()).collect())
}

/// Prints an event at once: after a crash the parent knows which case it was.
fn print(event: &Event) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, event)?;
    output.write_all(b"\n")?;
    output.flush()
}
