//! What the supervisor and a worker process say to each other, over a Unix socket: frames of JSON,
//! each preceded by its length in four bytes.

use std::{path::PathBuf, time::Duration};

use futures::{SinkExt, StreamExt as _};
use hearth_domain::{Capability, FinishReason, RunId, Task, Usage};
use hearth_wire::{ApiError, RunEventBody};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::{
    bytes::Bytes,
    codec::{FramedRead, FramedWrite, LengthDelimitedCodec},
};

/// Larger than any conversation that the API takes in.
const MAX_FRAME: usize = 32 << 20;

/// What the supervisor asks of a worker. The first command is `Load`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Load a model; answered by `Progress`, then `Ready` or `LoadFailed`.
    Load(LoadSpec),
    /// Carry out a run; answered by `Event`s, then `Finished` or `Failed`.
    Run {
        /// Its id.
        run: RunId,
        /// What to make.
        task: Box<Task>,
        /// Whether its client is given the answer in one piece.
        whole: bool,
    },
    /// Stop a run between two steps.
    Cancel {
        /// Which one.
        run: RunId,
    },
}

/// How to load a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadSpec {
    /// The GGUF file.
    pub path: PathBuf,
    /// The libraries to compute with, in order; none for a build that has them inside.
    pub backends: Vec<PathBuf>,
    /// Tokens that each run may have, prompt and completion together.
    pub context_length: u32,
    /// The least that it may be made where not all of it fits into a GPU's memory.
    pub context_length_min: u32,
    /// Runs at once.
    pub slots: u32,
    /// Threads to compute with.
    pub threads: u32,
    /// Layers to put on a GPU, where there is one.
    pub gpu_layers: u32,
    /// What prompts and answers may take that are kept beside the context, in bytes.
    pub saved_prefix_bytes: u64,
    /// Where they are written when the worker ends, and found again by the next one for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_folder: Option<PathBuf>,
    /// Control tokens that clients write in messages count as such.
    #[serde(default)]
    pub parse_special_in_user_text: bool,
}

/// What is known of a model once it is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Tokens that each run may have.
    pub context_length: u32,
    /// What it was found to do beside text, where its chat template was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Capability>>,
}

/// What a worker reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// How far the load is, from 0 to 1.
    Progress {
        /// From 0 to 1.
        progress: f32,
    },
    /// The model's chat template is being tried: what happens to the process now, it has brought about.
    Probing,
    /// The model is loaded.
    Ready(Facts),
    /// The model can't be loaded; the worker ends.
    LoadFailed {
        /// Why.
        reason: String,
    },
    /// It steps; said now and then, with what it did since it was last said.
    Alive(Vitals),
    /// So many runs are being prepared, and that goes on: they need no steps yet.
    Preparing {
        /// How many.
        runs: u32,
    },
    /// Something happened to a run; never its end.
    Event {
        /// Which run.
        run: RunId,
        /// What.
        event: RunEventBody,
    },
    /// A run has ended, and its slot is free.
    Finished {
        /// Which run.
        run: RunId,
        /// `Cancelled` if it was stopped.
        reason: FinishReason,
        /// What it took.
        usage: Usage,
        /// And how long.
        timings: Timings,
    },
    /// A run failed, and its slot is free.
    Failed {
        /// Which run.
        run: RunId,
        /// Why.
        error: ApiError,
    },
}

/// How long a run's parts took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Prompt tokens that were computed.
    pub prefilled: u32,
    /// From the slot to the prompt's end.
    pub prefill: Duration,
    /// Tokens that were generated.
    pub decoded: u32,
    /// From the prompt's end to the answer's.
    pub decode: Duration,
}

/// What a worker did in a while.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// Steps that gave each slot that decodes a token.
    pub decode_steps: u64,
    /// Those slots, summed over the steps.
    pub decoding_slots: u64,
    /// Time spent computing, prompts too.
    pub busy: Duration,
    /// Kept beginnings of prompts that were given up for room.
    pub prefixes_evicted: u64,
    /// Tokens that are kept for later prompts now.
    pub idle_prefix_tokens: u64,
    /// What of them is saved beside the context takes, in bytes.
    pub saved_prefix_bytes: u64,
}

/// A frame that can't be sent or read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed, or a frame was too long.
    #[error("the worker's socket failed: {0}")]
    Io(#[from] std::io::Error),
    /// It isn't what this version speaks.
    #[error("a frame that can't be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// The two halves of one end of the socket.
#[must_use]
pub fn split(socket: UnixStream) -> (FrameReader, FrameWriter) {
    let codec = || LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec();
    let (read, write) = socket.into_split();
    (FrameReader(FramedRead::new(read, codec())), FrameWriter(FramedWrite::new(write, codec())))
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader(FramedRead<OwnedReadHalf, LengthDelimitedCodec>);

impl FrameReader {
    /// The next frame; `None` when the other side is gone.
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

    /// Sends a frame with the next flush.
    ///
    /// # Errors
    /// If the socket fails or the frame is too long.
    pub async fn feed<T: Serialize>(&mut self, frame: &T) -> Result<(), FrameError> {
        let bytes = serde_json::to_vec(frame)?;
        Ok(self.0.feed(Bytes::from(bytes)).await?)
    }

    /// Sends what was fed.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        Ok(SinkExt::<Bytes>::flush(&mut self.0).await?)
    }
}
