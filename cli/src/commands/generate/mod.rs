//! `hearth generate`: one prompt, one answer.

mod picture;

use std::io::Read;

use anyhow::Context as _;
use hearth_domain::{FinishReason, Prefer, Rate, Timestamp, WaitReason};
use hearth_wire::{
    deadline::Deadline,
    error::ErrorBody,
    native::{
        generate::GenerateResponse,
        input::Input,
        request::{GenerateRequest, Parameters},
    },
    stop::Stop,
};
use serde::Deserialize;

use super::sampling::Sampling;
use crate::{
    client::{
        connection::Connection,
        error::GatewayError,
        gateway_client::GatewayClient,
        interrupt,
        stream::Events,
        terminal::{self, Printer, Screen},
    },
    context::Context,
};
use picture::Picture;

/// Generate text or pictures from a prompt
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth generate 'Write a haiku about the sea.'
  hearth generate --model openai:gpt-5-mini --max-tokens 200 'Explain DNS.'
  cat report.txt | hearth generate --system 'Summarise this in three sentences.'
  hearth generate --json 'Hello!' | jq .usage
  hearth generate --image --model dreams --size 512x512 --output fox.png 'A fox in the snow'
  hearth generate --image --model dreams --input fox.png --strength 0.5 --output night.png 'at night'")]
pub(crate) struct Generate {
    /// The prompt; its words are joined by spaces. `-`, or none at all, reads standard input
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    /// Keep only the likeliest tokens that together reach this probability, 0 to 1
    #[arg(long, value_name = "NUMBER")]
    pub(crate) top_p: Option<f32>,
    /// Keep only this many of the likeliest tokens; 0 keeps all
    #[arg(long, value_name = "COUNT")]
    pub(crate) top_k: Option<u32>,
    /// Keep only tokens that are at least this likely relative to the likeliest, 0 to 1
    #[arg(long, value_name = "NUMBER")]
    pub(crate) min_p: Option<f32>,
    /// A text that ends the answer; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
    /// Wait for one of your nodes, and ask a provider only after that
    #[arg(long)]
    pub(crate) prefer_home: bool,
    /// With --prefer-home: the longest wait, at most a day; the gateway's default without it
    #[arg(long, value_name = "SECONDS", requires = "prefer_home")]
    pub(crate) deadline: Option<f64>,
    /// Highest price of a provider, in dollars for a million output tokens
    #[arg(long, value_name = "DOLLARS")]
    pub(crate) max_price: Option<Rate>,
    /// Store the prompt with the answer, for `hearth requests replay`
    #[arg(long)]
    pub(crate) store: bool,
    /// Make it a turn of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    #[command(flatten)]
    pub(crate) picture: Picture,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Events of the native stream; others are ignored.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Waiting {
        reason: WaitReason,
        until: Timestamp,
    },
    Queued {
        position: u32,
    },
    Loading {
        progress: f32,
    },
    Progress {
        step: u32,
        steps: u32,
    },
    Reasoning {
        #[serde(default)]
        text: String,
    },
    Delta {
        text: String,
    },
    Refusal {
        text: String,
    },
    Complete(Box<GenerateResponse>),
    Error {
        error: ErrorBody,
    },
    #[serde(other)]
    Other,
}

impl Generate {
    /// Sends the prompt, and prints the answer as it arrives, or whole as JSON.
    ///
    /// # Errors
    /// No prompt, no gateway, a failed run, or `Interrupted`.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let (output, session) = (self.picture.output.clone(), self.session.clone());
        let request = self.request()?;
        let segments = match &session {
            Some(session) => vec!["v1", "sessions", session, "generate"],
            None => vec!["v1", "generate"],
        };
        let open = gateway.stream(&segments, &request);
        let json = context.connection.json;
        let response = print_answer(&gateway, open, Printer::new(Screen::Stdout, !json, false), json).await?;
        match output {
            Some(output) => picture::save(&gateway, &response.output.artifacts, &output).await,
            None => Ok(()),
        }
    }

    fn request(self) -> anyhow::Result<GenerateRequest> {
        let prompt = prompt(&self.prompt)?;
        let images = self.picture.images()?;
        let (modality, of_picture) = (self.picture.modality(), self.picture.parameters());
        let parameters = Parameters {
            temperature: self.sampling.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            seed: self.sampling.seed,
            stop: (!self.stop.is_empty()).then_some(Stop::Many(self.stop)),
            max_tokens: self.sampling.max_tokens,
            ..of_picture
        };
        Ok(GenerateRequest {
            model: Some(self.sampling.model),
            modality,
            input: Input { prompt: Some(prompt), images, ..Input::default() },
            parameters,
            system_prompt: self.sampling.system,
            stream: true,
            prefer: self.prefer_home.then_some(Prefer::Home),
            deadline: self.deadline.map(Deadline::Seconds),
            max_price: self.max_price,
            store: self.store.then_some(true),
            ..GenerateRequest::default()
        })
    }
}

/// Prints the answer of the stream that `open` opens by `printer` as it arrives, or whole as JSON, and returns it.
///
/// # Errors
/// A failed or a cancelled run, or `Interrupted`.
pub(super) async fn print_answer(
    gateway: &GatewayClient,
    open: impl Future<Output = anyhow::Result<Events>>,
    mut printer: Printer,
    json: bool,
) -> anyhow::Result<GenerateResponse> {
    let read = async |events: &mut Events| answer(events, &mut printer).await;
    let answered = interrupt::cancellable(gateway, open, read).await;
    if let Ok(response) = &answered {
        for artifact in &response.output.artifacts {
            printer.line(&artifact.url)?;
        }
    }
    printer.end(answered.is_err())?;
    let response = answered?;
    if json {
        terminal::print_json(&response)?;
        return Ok(response);
    }
    if response.finish_reason == Some(FinishReason::Cancelled) {
        anyhow::bail!("the run was cancelled before it ended (request id {})", response.request_id);
    }
    Ok(response)
}

/// The prompt from the command line, or from standard input.
fn prompt(words: &[String]) -> anyhow::Result<String> {
    let prompt = match words {
        [] if terminal::stdin_is_terminal() => {
            anyhow::bail!("give a prompt, as arguments or on standard input")
        }
        [] => read_stdin()?,
        [dash] if dash == "-" => read_stdin()?,
        words => words.join(" "),
    };
    anyhow::ensure!(!prompt.trim().is_empty(), "the prompt is empty");
    Ok(prompt)
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input can't be read as text")?;
    // The last end of line is the shell's, not the prompt's.
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

/// Reads all events of a run, and prints its reasoning and its text as they arrive.
async fn answer(events: &mut Events, printer: &mut Printer) -> anyhow::Result<GenerateResponse> {
    let mut response = None;
    while let Some(data) = events.next().await? {
        let event = serde_json::from_str(&data).context("an event of the gateway's can't be read")?;
        match event {
            Event::Waiting { reason, until } => {
                printer.status(format!("waiting until {until} for a node ({})", reason.as_str()));
            }
            Event::Queued { position } => printer.status(format!("queued, place {position}")),
            Event::Loading { progress } => {
                printer.status(format!("loading the model, {:.0} %", progress * 100.0));
            }
            Event::Progress { step, steps } => printer.status(format!("step {step} of {steps}")),
            Event::Reasoning { text } => printer.reasoning(&text)?,
            // A refusal is shown in place of the answer.
            Event::Delta { text } | Event::Refusal { text } => printer.text(&text)?,
            Event::Complete(whole) => response = Some(*whole),
            Event::Error { error } => return Err(GatewayError::new(error).into()),
            Event::Other => {}
        }
    }
    response.context("the gateway ended the stream without the whole answer")
}

#[cfg(test)]
mod tests;
