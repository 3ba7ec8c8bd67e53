//! The field `options`: sampling parameters, and settings for loading a model.

use hearth_domain::{Field, Sampling};
use serde_json::{Map, Value};

use crate::{ApiError, openai, seed::engine_seed};

/// Ollama's options that have no effect: settings for loading a model, which the operator sets, and unsupported sampling
/// parameters. They are not refused, since many clients send all options.
const WITHOUT_EFFECT: [&str; 21] = [
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_keep",
    "numa",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mmap",
    "use_mlock",
    "embedding_only",
    "tfs_z",
    "typical_p",
    "repeat_last_n",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "penalize_newline",
];
/// Largest number of ignored options that are reported.
const IGNORED_MAX_COUNT: usize = 20;

/// Converts the sampling parameters.
///
/// # Errors
/// `invalid_request`, naming an option of another type.
pub(super) fn sampling(options: &Map<String, Value>) -> Result<Sampling, ApiError> {
    let options = Options(options);
    // Below 1 there is no limit, as at Ollama.
    let limit = options.integer("num_predict")?.filter(|limit| *limit > 0);
    let top_k = options.integer("top_k")?.map(|top_k| u32::try_from(top_k.max(0)).unwrap_or(u32::MAX));
    // -1 means a random seed.
    let seed = options.integer("seed")?.filter(|seed| *seed != -1);
    Ok(Sampling {
        temperature: options.number("temperature")?,
        top_p: options.number("top_p")?,
        top_k,
        min_p: options.number("min_p")?,
        repeat_penalty: options.number("repeat_penalty")?,
        presence_penalty: options.number("presence_penalty")?,
        frequency_penalty: options.number("frequency_penalty")?,
        seed: seed.map(engine_seed),
        stop: options.stop()?,
        max_tokens: limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        ignore_eos: options.boolean("ignore_eos")?.unwrap_or(false),
        ..Sampling::default()
    })
}

/// Returns the names of options that have no effect, for a response header. Names that Ollama doesn't know are reported as
/// `unknown`.
pub(super) fn ignored_options(options: &Map<String, Value>) -> Vec<&str> {
    const SUPPORTED: [&str; 11] = [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "stop",
        "num_predict",
        "ignore_eos",
    ];
    let unused =
        options.iter().filter(|(name, value)| !value.is_null() && !SUPPORTED.contains(&name.as_str()));
    let mut names: Vec<&str> = unused
        .map(|(name, _)| if WITHOUT_EFFECT.contains(&name.as_str()) { name.as_str() } else { "unknown" })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(IGNORED_MAX_COUNT);
    names
}

struct Options<'a>(&'a Map<String, Value>);

impl Options<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn number(&self, name: &str) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| must_be(name, "a number"))?;
        #[expect(clippy::cast_possible_truncation, reason = "sampling uses 32 bits")]
        Ok(Some(number as f32))
    }

    /// Reads an integer. Clients in languages with one number type may send 5.0.
    fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
        let whole = || value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
        value.as_i64().or_else(whole).map(Some).ok_or_else(|| must_be(name, "a whole number"))
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let value = self.get(name).map(|value| value.as_bool().ok_or_else(|| must_be(name, "true or false")));
        value.transpose()
    }

    fn stop(&self) -> Result<Vec<String>, ApiError> {
        let texts = match self.get("stop") {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(texts)) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        texts.ok_or_else(|| must_be("stop", "a list of texts"))
    }
}

fn must_be(name: &str, expected: &str) -> ApiError {
    let param = format!("options.{name}");
    let message = format!("{param} must be {expected}");
    ApiError::invalid(param, message)
}

/// Returns this dialect's name of a field. `tools` has the field of each function.
pub(crate) fn param(field: Field, tools: &[String]) -> String {
    match field {
        Field::Sampling("max_tokens") => "options.num_predict".to_owned(),
        Field::Sampling(name) => format!("options.{name}"),
        Field::ResponseFormat | Field::ResponseSchema => "format".to_owned(),
        Field::ToolChoice => "tools".to_owned(),
        Field::ToolCallId(index) => format!("messages[{index}].tool_call_id"),
        field => openai::chat::param(field, false, tools),
    }
}
