//! One streamed answer of at most eight tokens.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use eventsource_stream::Eventsource as _;
use futures::TryStreamExt as _;
use hearth_domain::Modality;
use hearth_providers::config::LOCAL;
use hearth_wire::{
    error::ErrorBody,
    native::{
        generate::GenerateResponse,
        input::Input,
        models::{ALIAS, Availability, ModelBody},
        request::{GenerateRequest, Parameters},
        route::RouteBody,
    },
};
use reqwest::header::CONTENT_ENCODING;
use serde::Deserialize;

use super::{
    super::finding::Finding,
    access::{self, code},
    reach::milliseconds,
};
use crate::client::{error::GatewayError, gateway_client::GatewayClient};

/// Maximum tokens of the answer.
const ANSWER_MAX_TOKENS: u32 = 8;
/// Timeout for the answer: a local model may be loaded first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Time of an answer above which it arrives in several pieces, unless a proxy buffers it.
const BUFFERED_ANSWER_THRESHOLD: Duration = Duration::from_millis(300);
const PROMPT: &str = "Say hello.";
const ADVICE: &str = "name another model with --model; the page of the error's code says what to do";

/// An event of the stream.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Delta {},
    Reasoning {},
    Complete(Box<GenerateResponse>),
    Error {
        error: ErrorBody,
    },
    #[serde(other)]
    Other,
}

/// A streamed answer, with its times.
struct Answer {
    response: GenerateResponse,
    encoding: Option<String>,
    /// Time to the first token.
    first_token: Option<Duration>,
    total: Duration,
    /// Pieces in which the body arrived.
    pieces: usize,
}

/// Requests an answer, of `model` or the gateway's choice.
pub(super) async fn check(gateway: &GatewayClient, model: Option<&str>) -> Vec<Finding> {
    let model = match model {
        Some(model) => model.to_owned(),
        None => match choose(gateway).await {
            Ok(model) => model,
            Err(finding) => return vec![finding],
        },
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, request(gateway, &model)).await {
        Ok(Ok(answer)) => {
            let streaming = streaming(answer.pieces, answer.total, answer.encoding.as_deref());
            vec![answer.finding(), streaming]
        }
        Ok(Err(error)) => vec![match code(&error) {
            Some("forbidden") => {
                Finding::warning("answer", "the token may not generate", "create one with the scope generate")
            }
            _ => Finding::problem("answer", format!("{model}: {error:#}"), ADVICE),
        }],
        Err(_) => {
            let message = format!("{model} didn't answer within {} s", ANSWER_TIMEOUT.as_secs());
            vec![Finding::problem("answer", message, ADVICE)]
        }
    }
}

/// The model of a node that the gateway would choose for a request that names none, else the cheapest listed one.
async fn choose(gateway: &GatewayClient) -> Result<String, Finding> {
    let query = [("model", "auto"), ("prompt", PROMPT)];
    let route: RouteBody = match gateway.get(&["v1", "route"], &query).await {
        Ok(route) => route,
        Err(error) if code(&error) == Some("forbidden") => {
            let advice = "create one with the scope generate";
            return Err(Finding::warning("answer", "the token may not generate", advice));
        }
        Err(error) => {
            let advice = "name a model with --model, such as openai:gpt-5-mini";
            return Err(Finding::warning("answer", format!("no model can be chosen: {error:#}"), advice));
        }
    };
    let Some(first) = route.candidates.first() else {
        let advice = "set a provider's key (`hearth key set openai`), or connect a node";
        return Err(Finding::warning("answer", "no model can answer", advice));
    };
    if first.provider == LOCAL {
        return Ok(first.model.clone());
    }
    let models = access::models(gateway).await.map(|list| list.models).unwrap_or_default();
    cheapest(&models).map(|model| model.id.clone()).ok_or_else(|| {
        let advice = "name a model with --model, such as openai:gpt-5-mini";
        Finding::warning("answer", "not checked: no listed text model has a price", advice)
    })
}

/// The text model with the lowest price, first of a completion's token and then of a prompt's.
pub(super) fn cheapest(models: &[ModelBody]) -> Option<&ModelBody> {
    let price = |model: &ModelBody| model.price.as_ref().and_then(|price| price.output.zip(price.input));
    models
        .iter()
        .filter(|model| model.modality == Modality::Text && model.provider != ALIAS)
        .filter(|model| model.availability == Availability::Available)
        .filter_map(|model| Some((price(model)?, model)))
        .min_by_key(|(price, _)| *price)
        .map(|(_, model)| model)
}

async fn request(gateway: &GatewayClient, model: &str) -> anyhow::Result<Answer> {
    let request = GenerateRequest {
        model: Some(model.to_owned()),
        input: Input { prompt: Some(PROMPT.to_owned()), ..Input::default() },
        parameters: Parameters { max_tokens: Some(ANSWER_MAX_TOKENS), ..Parameters::default() },
        stream: true,
        ..GenerateRequest::default()
    };
    let began = Instant::now();
    let response = gateway.open(&["v1", "generate"], &request).await?;
    let encoding = response.headers().get(CONTENT_ENCODING);
    let encoding = encoding.map(|encoding| String::from_utf8_lossy(encoding.as_bytes()).into_owned());
    let mut pieces = 0;
    let mut events = response.bytes_stream().inspect_ok(|_| pieces += 1).eventsource();
    let (mut whole, mut first_token) = (None, None);
    while let Some(event) = events.try_next().await.context("the answer broke off")? {
        if event.data == "[DONE]" {
            break;
        }
        match serde_json::from_str(&event.data).context("an event of the gateway's can't be read")? {
            Event::Delta {} | Event::Reasoning {} => {
                first_token.get_or_insert_with(|| began.elapsed());
            }
            Event::Complete(response) => whole = Some(*response),
            Event::Error { error } => return Err(GatewayError::new(error).into()),
            Event::Other => {}
        }
    }
    let total = began.elapsed();
    drop(events);
    let response = whole.context("the gateway ended the stream without the whole answer")?;
    Ok(Answer { response, encoding, first_token, total, pieces })
}

impl Answer {
    fn finding(&self) -> Finding {
        let GenerateResponse { model, usage, cost, .. } = &self.response;
        let cost = match cost {
            Some(cost) => format!("${}", cost.usd),
            None => "cost unknown".to_owned(),
        };
        let first = self.first_token.map(|time| format!(", the first token after {}", milliseconds(time)));
        Finding::ok(
            "answer",
            format!(
                "{model} answered in {}{} ({} tokens in, {} out; {cost})",
                milliseconds(self.total),
                first.unwrap_or_default(),
                usage.prompt_tokens,
                usage.completion_tokens,
            ),
        )
    }
}

/// Checks that an answer arrived in pieces: a proxy that buffers or compresses holds tokens back.
pub(super) fn streaming(pieces: usize, total: Duration, encoding: Option<&str>) -> Finding {
    if let Some(encoding) = encoding {
        let advice = "turn off compression for text/event-stream in the proxy";
        return Finding::problem("stream", format!("the stream is compressed ({encoding})"), advice);
    }
    match pieces {
        0 | 1 if total < BUFFERED_ANSWER_THRESHOLD => Finding::ok(
            "stream",
            "the answer arrived in one piece, at once: too fast to find a proxy that buffers",
        ),
        0 | 1 => Finding::warning(
            "stream",
            "the answer arrived in one piece",
            "turn off buffering in the proxy; in a template, the route needs ResponseTransferMode RESPONSE_STREAM",
        ),
        pieces => Finding::ok("stream", format!("the answer arrived in {pieces} pieces")),
    }
}
