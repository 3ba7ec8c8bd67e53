//! The self-test of backends, in a child process: the command `engine self-test`.
//!
//! The child loads the given libraries only. For each type of weights it runs a model of one layer ([`model_file`]) with
//! random weights ([`weights`]), a single token (decode) and many at once (prefill), and then one prompt of the model that
//! comes with Hearth ([`chat`]). llama.cpp loads them like any model, so its repacked, tiled and fused kernels are used as
//! in production. The child prints its numbers. Another child computes the same models without a backend ([`reference`]), and
//! the parent compares the numbers.

pub(super) mod chat;
mod decode;
mod model_file;
mod reference;
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
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};
use serde::{Deserialize, Serialize};

use super::llama_cpp;
use decode::{TestError, decode, engine_error};
use model_file::CONTEXT_TOKENS;
use reference::Reference;
use weights::{CASES, Case};

/// Rows of the prefill case: two tiles of 16 rows, as AMX has them, and a remainder.
const PREFILL_ROWS: usize = 40;
/// Compute threads of the chat.
const CHAT_THREADS: i32 = 1;

/// A line of a self-test's output, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The following cases run on this device.
    Device {
        /// Its name, such as `CUDA0`.
        name: String,
    },
    /// The GPU backends have found no device.
    NoDevice,
    /// A case begins. If the process ends now, this case is the cause.
    Case {
        /// Its name, such as `Q4_0, 1 row`.
        name: String,
    },
    /// The results of the case.
    Values {
        /// The bits of each `f32`: JSON has no NaN.
        bits: Vec<u32>,
    },
    /// The answer of the chat model.
    Text {
        /// Its text.
        text: String,
    },
    /// The engine reported an error.
    Failed {
        /// The error.
        reason: String,
    },
    /// The last event of a complete test.
    Done,
}

/// Runs the test with exactly these libraries, and prints its events. Writes models to `folder`; `chat_model` is the file of
/// the model that comes with Hearth.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(libraries: &[PathBuf], folder: &Path, chat_model: &[u8]) -> io::Result<()> {
    end_with_parent();
    let test = Test { folder, chat_model };
    match test.run(libraries) {
        Ok(()) => print(&Event::Done),
        Err(TestError::Engine(reason)) => print(&Event::Failed { reason }),
        Err(TestError::Output(error)) => Err(error),
    }
}

/// Computes every case without a backend, and prints the results as events.
///
/// # Errors
/// If standard output cannot be written.
pub fn run_reference() -> io::Result<()> {
    end_with_parent();
    let tokens = tokens();
    for case in &CASES {
        let reference = match Reference::new(case) {
            Ok(reference) => reference,
            Err(reason) => return print(&Event::Failed { reason: format!("{}: {reason}", case.name) }),
        };
        for (rows, name) in parts(case) {
            print(&Event::Case { name })?;
            print(&values(&reference.logits(&tokens[..rows])))?;
        }
    }
    print(&Event::Done)
}

/// The tokens of the prefill case.
fn tokens() -> Vec<usize> {
    (0..PREFILL_ROWS).map(|n| n * 37 % 251).collect()
}

/// The numbers of tokens that a case is computed with, and their names.
fn parts(case: &Case) -> [(usize, String); 2] {
    let name = case.name;
    [(1, format!("{name}, 1 row")), (PREFILL_ROWS, format!("{name}, {PREFILL_ROWS} rows"))]
}

fn values(numbers: &[f32]) -> Event {
    Event::Values { bits: numbers.iter().map(|number| number.to_bits()).collect() }
}

/// Ends this process, even if it hangs, when the parent ends or closes the pipe of standard input.
pub(super) fn end_with_parent() {
    let is_pipe = std::fs::metadata("/dev/stdin").is_ok_and(|stdin| stdin.file_type().is_fifo());
    if is_pipe {
        std::thread::spawn(|| {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            std::process::exit(EX_IOERR);
        });
    }
}

/// `sysexits.h`: the parent has ended.
const EX_IOERR: i32 = 74;

struct Test<'a> {
    folder: &'a Path,
    chat_model: &'a [u8],
}

impl Test<'_> {
    fn run(&self, libraries: &[PathBuf]) -> Result<(), TestError> {
        let backend = llama_cpp::init(libraries).map_err(engine_error)?;
        self.write_models().map_err(engine_error)?;
        let devices = list_llama_ggml_backend_devices();
        let gpus: Vec<&LlamaBackendDevice> = devices.iter().filter(|device| is_gpu(device)).collect();
        for gpu in &gpus {
            print(&Event::Device { name: gpu.name.clone() })?;
            self.run_on(&backend, Some(gpu.index))?;
        }
        if !gpus.is_empty() {
            return Ok(());
        }
        // With more libraries than the CPU backend, but without their devices, the test is useless.
        let has_accelerator =
            devices.iter().any(|device| device.device_type == LlamaBackendDeviceType::Accelerator);
        if libraries.len() > 1 && !has_accelerator {
            return Ok(print(&Event::NoDevice)?);
        }
        self.run_on(&backend, None)
    }

    fn write_models(&self) -> io::Result<()> {
        for case in &CASES {
            std::fs::write(self.folder.join(case.file_name()), model_file::bytes(case))?;
        }
        std::fs::write(self.folder.join(chat::FILE), self.chat_model)
    }

    /// Runs every case on a GPU or on the processor.
    fn run_on(&self, backend: &LlamaBackend, gpu: Option<usize>) -> Result<(), TestError> {
        let tokens: Vec<LlamaToken> = tokens().into_iter().map(|token| LlamaToken(token as i32)).collect();
        for case in &CASES {
            print(&Event::Case { name: format!("loading {}", case.name) })?;
            let model = load(backend, &self.folder.join(case.file_name()), gpu)?;
            let mut context = new_context(backend, &model, case.threads)?;
            for (rows, name) in parts(case) {
                print(&Event::Case { name })?;
                context.clear_kv_cache();
                print(&values(&decode(&mut context, &tokens[..rows], 0, true)?))?;
            }
        }
        print(&Event::Case { name: chat::NAME.to_owned() })?;
        let model = load(backend, &self.folder.join(chat::FILE), gpu)?;
        let mut context = new_context(backend, &model, CHAT_THREADS)?;
        let text = chat::answer(&model, &mut context).map_err(TestError::Engine)?;
        Ok(print(&Event::Text { text })?)
    }
}

fn is_gpu(device: &LlamaBackendDevice) -> bool {
    matches!(device.device_type, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu)
}

fn load(backend: &LlamaBackend, path: &Path, gpu: Option<usize>) -> Result<LlamaModel, TestError> {
    let params = LlamaModelParams::default();
    let params = match gpu {
        // More layers than any model has.
        Some(index) => params.with_n_gpu_layers(999).with_devices(&[index]).map_err(engine_error)?,
        None => params.with_n_gpu_layers(0),
    };
    LlamaModel::load_from_file(backend, path, &params).map_err(engine_error)
}

fn new_context<'a>(
    backend: &LlamaBackend,
    model: &'a LlamaModel,
    threads: i32,
) -> Result<LlamaContext<'a>, TestError> {
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(CONTEXT_TOKENS))
        .with_n_batch(CONTEXT_TOKENS)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_no_perf(true);
    model.new_context(backend, params).map_err(engine_error)
}

/// Prints an event without buffering, so that the parent can attribute a crash to a case.
fn print(event: &Event) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, event)?;
    output.write_all(b"\n")?;
    output.flush()
}
