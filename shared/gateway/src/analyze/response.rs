//! The response to an analysis: data, validation, confidence and languages.

use std::time::Instant;

use hearth_domain::{Cost, RunId, Usage};
use hearth_wire::{
    ApiError, ErrorCode,
    native::{
        analyze::{AnalyzeResponse, LanguageBody, ValidationStatus},
        generate::{CostBody, UsageBody},
    },
};
use serde_json::{Value, json};

use super::{
    confidence::{self, Parts},
    default_schema::ORIGINAL_LANGUAGE,
    format::data_in,
    language::{self, Language},
    prepared::ResponseTerms,
    sample::SampleAnswer,
};

/// Characters of an answer's texts by which its language is detected.
const LANGUAGE_TEXT_MAX_CHARS: usize = 2000;

/// Builds the response of the first sample, with the agreement of the others.
///
/// # Errors
/// `invalid_answer` if the answer doesn't fit the schema and the validation isn't bypassed.
pub(super) fn respond(
    terms: &ResponseTerms,
    first: &SampleAnswer,
    others: &[SampleAnswer],
    id: RunId,
    began: Instant,
) -> Result<AnalyzeResponse, ApiError> {
    let status = first.status(terms.bypasses_validation);
    metrics::counter!("hearth_analyses_total", "status" => status.as_str()).increment(1);
    let samples = || std::iter::once(first).chain(others);
    let usage = samples().fold(Usage::default(), |sum, sample| sum.and(&sample.usage));
    let costs: Option<Vec<Cost>> = samples().map(|sample| sample.cost).collect();
    let cost = costs.map(|costs| CostBody::from(costs.into_iter().sum::<Cost>()));
    if status == ValidationStatus::Failed {
        return Err(failed(first, usage, cost));
    }
    let data = first.data.clone().unwrap_or_default();
    let mut languages = terms.language();
    check_languages(terms, &data, &mut languages);
    let (confidence, confidence_parts) = Parts {
        log_probability: confidence::log_probability(&first.answer.text, &first.answer.logprobs),
        validity: confidence::validity(status),
        completeness: terms.schema.as_ref().and_then(|schema| confidence::completeness(schema, &data)),
        agreement: agreement(&data, others, &languages),
    }
    .combine(status);
    metrics::histogram!("hearth_analysis_confidence").record(confidence);
    let low_confidence = confidence < terms.threshold;
    if low_confidence {
        tracing::info!(request_id = %id, confidence, model = first.model(), "an analysis has a low confidence");
    }
    Ok(AnalyzeResponse {
        request_id: id.to_string(),
        object: "analysis".to_owned(),
        data: data_in(terms.format, data)?,
        format: terms.format,
        text: first.data.is_none().then(|| first.answer.text_with_refusal()),
        schema: terms.schema_used.clone(),
        template: terms.template.clone(),
        validation_status: status,
        validation_errors: first.violations(status),
        confidence,
        confidence_parts,
        low_confidence,
        how: first.how(),
        repaired: first.answer.structured.as_ref().is_some_and(|structured| structured.repaired),
        attempts: first.attempts(),
        provider: first.provider(),
        model: first.model(),
        usage: usage.into(),
        cost,
        cached: samples().all(SampleAnswer::is_cached),
        time_ms: milliseconds(began),
        suspicious: terms.suspicious.clone(),
        language: languages,
    })
}

pub(super) fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The error of an answer that doesn't fit the schema. It has everything that a response would have.
fn failed(sample: &SampleAnswer, usage: Usage, cost: Option<CostBody>) -> ApiError {
    let status = ValidationStatus::Failed;
    let message = format!(
        "no answer of {} fits the schema, after {} attempts; details.validation_errors has the places. Simplify the schema, choose \
         another model, or send allow_relaxed or bypass_validation",
        sample.model(),
        sample.attempts()
    );
    ApiError::new(ErrorCode::InvalidAnswer, message)
        .with("validation_status", status.as_str())
        .with("validation_errors", json!(sample.violations(status)))
        .with("data", sample.data.clone().unwrap_or_default())
        .with(
            "text",
            if sample.data.is_none() { json!(sample.answer.text_with_refusal()) } else { Value::Null },
        )
        .with("attempts", sample.attempts())
        .with("provider", sample.provider())
        .with("model", sample.model())
        .with("usage", json!(UsageBody::from(usage)))
        .with("cost", json!(cost))
}

/// Detects the language of the data, where one was requested, and compares the language that the model names with the text's.
fn check_languages(terms: &ResponseTerms, data: &Value, languages: &mut LanguageBody) {
    if terms.requested.is_some() {
        let mut text = String::new();
        collect_texts(data, &mut text);
        let answered = language::detect(&text).filter(|answered| answered.is_reliable);
        languages.answered = answered.map(|answered| answered.language.code().to_owned());
    }
    let detected = terms.detected.filter(|detected| detected.is_reliable);
    if terms.has_default_schema()
        && let Some(named) = data[ORIGINAL_LANGUAGE].as_str()
        && let Some(detected) = detected
    {
        languages.original_language_agrees = Some(Language::parse(named) == Some(detected.language));
    }
}

/// The texts of the data, without the names of its fields.
fn collect_texts(value: &Value, text: &mut String) {
    if text.len() >= LANGUAGE_TEXT_MAX_CHARS {
        return;
    }
    match value {
        Value::String(value) => {
            text.push_str(value);
            text.push_str(". ");
        }
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, text)),
        Value::Object(fields) => fields.values().for_each(|value| collect_texts(value, text)),
        _ => {}
    }
}

/// The agreement: of the samples, of the answer's language with the requested one, and of the language that the model names with
/// the text's. Their mean, of those that are known.
fn agreement(data: &Value, others: &[SampleAnswer], languages: &LanguageBody) -> Option<f64> {
    let samples: Vec<Value> = others.iter().map(|sample| sample.data.clone().unwrap_or_default()).collect();
    let number = |is_equal: bool| if is_equal { 1.0 } else { 0.0 };
    let answered =
        languages.answered.as_ref().map(|answered| number(languages.requested.as_ref() == Some(answered)));
    let shares: Vec<f64> =
        [confidence::agreement(data, &samples), answered, languages.original_language_agrees.map(number)]
            .into_iter()
            .flatten()
            .collect();
    #[expect(clippy::cast_precision_loss, reason = "three at most")]
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    (!shares.is_empty()).then_some(mean)
}
