//! The protocol between the supervisor and a worker process, over a Unix socket: frames of JSON, each preceded by its length
//! in four bytes.

use std::{path::PathBuf, time::Duration};

use futures::{SinkExt, StreamExt as _};
use hearth_domain::{Capability, FinishReason, RunId, Task, Usage};
use hearth_wire::{
    ApiError, RunEventBody,
    node::{NodeCountBody, NodeTokenCount},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::{
    bytes::Bytes,
    codec::{FramedRead, FramedWrite, LengthDelimitedCodec},
};

/// Maximum length of a frame: larger than any conversation that the API accepts.
const FRAME_MAX_BYTES: usize = 32 << 20;

/// A command of the supervisor. The first command is `Load`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Load a model. The worker reports `Progress`, then `Ready` or `LoadFailed`.
    Load(LoadSpec),
    /// Execute a run. The worker reports `Event`s, then `Finished` or `Failed`.
    Run {
        /// The run's id.
        run: RunId,
        /// Its task.
        task: Box<Task>,
        /// True if the client receives the answer in one piece.
        whole: bool,
    },
    /// Count tokens. The worker reports `Counted`.
    Count {
        /// Number of the request.
        request: u64,
        /// The texts.
        body: Box<NodeCountBody>,
    },
    /// Stop a run between two steps.
    Cancel {
        /// The run's id.
        run: RunId,
    },
}

/// The parameters of a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadSpec {
    /// The GGUF file.
    pub path: PathBuf,
    /// The backend libraries to load, in order; none for a build with static backends.
    pub backends: Vec<PathBuf>,
    /// Maximum number of tokens of a run, prompt and completion together.
    pub context_length: u32,
    /// Minimum to which it may be reduced if it doesn't fit into a GPU's memory.
    pub context_length_min: u32,
    /// Number of concurrent runs.
    pub slots: u32,
    /// Number of compute threads.
    pub threads: u32,
    /// Number of layers to load onto a GPU, if there is one.
    pub gpu_layers: u32,
    /// Maximum bytes of the prefix cache outside of the context.
    pub saved_prefix_bytes: u64,
    /// The folder in which the worker saves its prefix cache when it ends, for the next worker of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_folder: Option<PathBuf>,
    /// True if control tokens in clients' messages are parsed as control tokens.
    #[serde(default)]
    pub parse_special_in_user_text: bool,
}

/// The properties of a loaded model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelProperties {
    /// Maximum number of tokens of a run.
    pub context_length: u32,
    /// Further capabilities, found by trying its chat template; `None` if it wasn't tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Capability>>,
}

/// A report of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The progress of the load.
    Progress {
        /// From 0 to 1.
        progress: f32,
    },
    /// The worker is trying the model's chat template: if the process ends now, the template is the cause.
    Probing,
    /// The model is loaded.
    Ready(ModelProperties),
    /// The model can't be loaded. The worker ends.
    LoadFailed {
        /// The reason.
        reason: String,
    },
    /// The worker is computing. Sent regularly, with the statistics since the last report of this kind.
    Alive(WorkerStats),
    /// Runs are being prepared, and don't need steps yet. Sent regularly.
    Preparing {
        /// Number of these runs.
        runs: u32,
    },
    /// Tokens were counted.
    Counted {
        /// Number of the request.
        request: u64,
        /// The numbers; none with `error`.
        count: NodeTokenCount,
        /// Reason why they can't be counted.
        error: Option<ApiError>,
    },
    /// An event of a run, except its end.
    Event {
        /// The run's id.
        run: RunId,
        /// The event.
        event: RunEventBody,
    },
    /// A run has ended, and its slot is free.
    Finished {
        /// The run's id.
        run: RunId,
        /// `Cancelled` if it was stopped.
        reason: FinishReason,
        /// Its tokens.
        usage: Usage,
        /// The durations of its parts.
        timings: Timings,
    },
    /// A run has failed, and its slot is free.
    Failed {
        /// The run's id.
        run: RunId,
        /// The error.
        error: ApiError,
    },
}

/// The durations of a run's parts.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Number of computed prompt tokens.
    pub prefilled: u32,
    /// From the start of the slot to the end of the prompt.
    pub prefill: Duration,
    /// Number of generated tokens.
    pub decoded: u32,
    /// From the end of the prompt to the end of the answer.
    pub decode: Duration,
}

/// Statistics of a worker since its last report.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct WorkerStats {
    /// Steps that generated a token for each decoding slot.
    pub decode_steps: u64,
    /// Decoding slots, summed over these steps.
    pub decoding_slots: u64,
    /// Time of computing, with prompts.
    pub busy: Duration,
    /// Number of prefixes that were evicted from the cache.
    pub prefixes_evicted: u64,
    /// Tokens in the prefix cache now.
    pub idle_prefix_tokens: u64,
    /// Bytes of the prefix cache outside of the context now.
    pub saved_prefix_bytes: u64,
}

/// A reason why a frame can't be sent or read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed, or a frame was too long.
    #[error("the worker's socket failed: {0}")]
    Io(#[from] std::io::Error),
    /// The frame isn't a valid message.
    #[error("a frame can't be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// Splits one end of the socket into a reader and a writer.
#[must_use]
pub fn split(socket: UnixStream) -> (FrameReader, FrameWriter) {
    let codec = || LengthDelimitedCodec::builder().max_frame_length(FRAME_MAX_BYTES).new_codec();
    let (read, write) = socket.into_split();
    (FrameReader(FramedRead::new(read, codec())), FrameWriter(FramedWrite::new(write, codec())))
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader(FramedRead<OwnedReadHalf, LengthDelimitedCodec>);

impl FrameReader {
    /// Reads the next frame; `None` if the other side has closed the socket.
    ///
    /// # Errors
    /// If the socket fails or the frame can't be read.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        match self.0.next().await {
            Some(frame) => Ok(Some(serde_json::from_slice(&frame?)?)),
            None => Ok(None),
        }
    }
}

/// Writes frames.
#[derive(Debug)]
pub struct FrameWriter(FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>);

impl FrameWriter {
    /// Sends a frame.
    ///
    /// # Errors
    /// If the socket fails or the frame is too long.
    pub async fn send<T: Serialize>(&mut self, frame: &T) -> Result<(), FrameError> {
        self.feed(frame).await?;
        self.flush().await
    }

    /// Buffers a frame until the next flush.
    ///
    /// # Errors
    /// If the socket fails or the frame is too long.
    pub async fn feed<T: Serialize>(&mut self, frame: &T) -> Result<(), FrameError> {
        let bytes = serde_json::to_vec(frame)?;
        Ok(self.0.feed(Bytes::from(bytes)).await?)
    }

    /// Sends the buffered frames.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        Ok(SinkExt::<Bytes>::flush(&mut self.0).await?)
    }
}
