//! Prepares an analysis: checks its input, resolves its schema and template, and writes the request to a model.

use hearth_domain::{
    AppliedDefinition, AppliedDefinitions, CacheControl, Generation, Message, ModelId, ResponseFormat, Role,
    Route, Sampling, SchemaLabel, StructuredOptions, TextTask,
};
use hearth_settings::AnalyzeSettings;
use hearth_wire::{
    ApiError,
    native::analyze::{AnalyzeOptions, AnalyzeRequest, SchemaUsed, SuspicionBody, TemplateUsed},
};
use serde_json::{Map, Value};

use super::{
    AnalysisContext,
    default_schema::DEFAULT_SCHEMA,
    input::{check_schema, clean_text, texts_of_variables},
    instructions,
    language::{self, DetectedLanguage, Language},
    prepared::{DEFAULT_SOURCE, PreparedAnalysis, ResponseTerms},
    suspicion,
};
use crate::{access::Caller, components::Components, definitions::RenderedTemplate};

/// Largest number of samples.
const SAMPLES_MAX_COUNT: u32 = 5;
/// Word for the language of the text.
const ORIGINAL: &str = "original";

/// The text of an analysis: its prompt, its languages, and the patterns of attacks in it and in the variables.
struct AnalyzedText {
    prompt: Option<String>,
    detected: Option<DetectedLanguage>,
    requested: Option<Language>,
    suspicious: Vec<SuspicionBody>,
}

impl AnalyzedText {
    fn read(
        prompt: Option<String>,
        variables: &Map<String, Value>,
        options: &AnalyzeOptions,
        settings: &AnalyzeSettings,
    ) -> Result<Self, ApiError> {
        let prompt = prompt.map(|prompt| clean_text("prompt", &prompt, settings)).transpose()?;
        let suspicious = search_attacks(prompt.as_deref(), variables, settings)?;
        let detected = language::detect(&text_of_language(prompt.as_deref(), variables));
        let requested = requested_language(options.language.as_deref(), detected)?;
        Ok(Self { prompt, detected, requested, suspicious })
    }
}

/// The messages of an analysis, and the parts of a template that they come from.
struct Conversation {
    messages: Vec<Message>,
    template: Option<AppliedDefinition>,
    model: Option<String>,
    sampling: Sampling,
}

/// Prepares an analysis. A pattern of an attack is reported, or refused if the operator says so: the caller audits both.
///
/// # Errors
/// `invalid_request`, naming the field; `not_found` for a schema or template that the caller hasn't.
pub(super) async fn prepare(
    gateway: &Components,
    caller: &Caller,
    request: AnalyzeRequest,
    context: &AnalysisContext,
) -> Result<PreparedAnalysis, ApiError> {
    let settings = &gateway.analyze_settings;
    let AnalyzeRequest { prompt, schema, schema_id, template_id, variables, options } = request;
    let variables = variables.unwrap_or_default();
    if prompt.is_none() && template_id.is_none() {
        return Err(ApiError::invalid(
            "prompt",
            "prompt is missing: send the text to analyze, or a template_id",
        ));
    }
    if template_id.is_none() && !variables.is_empty() {
        let message = "variables are those of a template: send its template_id, or leave variables out";
        return Err(ApiError::invalid("variables", message));
    }
    let text = AnalyzedText::read(prompt, &variables, &options, settings)?;

    let rendered = match &template_id {
        Some(reference) => Some(gateway.definitions.render(caller, reference, variables).await?),
        None => None,
    };
    let of_template = rendered.as_ref().and_then(|template| template.schema.clone());
    let schema = resolve_schema(gateway, caller, schema, schema_id, of_template).await?;
    let json_schema = schema.schema.clone().unwrap_or_default();
    let prompt = text.prompt.clone().unwrap_or_default();
    let conversation = conversation(prompt, rendered, &json_schema, text.requested);
    let applied =
        AppliedDefinitions { schema: schema.definition.clone(), template: conversation.template.clone() };
    let samples = samples(&options)?;
    let terms = terms(text, schema, conversation.template.as_ref(), &options, settings)?;
    let mut generation = generation(conversation, &json_schema, options, context)?;
    generation.applied = (!applied.is_empty()).then(|| Box::new(applied));
    Ok(PreparedAnalysis { generation, samples, terms })
}

/// The terms of the response of an analysis whose run has begun with the definitions `applied`, in the versions of then: a label
/// may have moved since, and a definition may be deleted.
///
/// # Errors
/// `internal` if the store can't be read; those of [`prepare`], if the settings have changed.
pub(super) async fn resume(
    gateway: &Components,
    caller: &Caller,
    request: AnalyzeRequest,
    applied: AppliedDefinitions,
) -> Result<ResponseTerms, ApiError> {
    let settings = &gateway.analyze_settings;
    let AnalyzeRequest { prompt, schema, schema_id, template_id: _, variables, options } = request;
    let text = AnalyzedText::read(prompt, &variables.unwrap_or_default(), &options, settings)?;
    let schema = match applied.schema {
        Some(definition) => {
            let schema = gateway.definitions.applied_schema(&definition).await?;
            AnalysisSchema { schema, used: stored(&definition), definition: Some(definition) }
        }
        None => resolve_schema(gateway, caller, schema, schema_id, None).await?,
    };
    let terms = terms(text, schema, applied.template.as_ref(), &options, settings)?;
    // Without its schema the answer can't be validated.
    Ok(ResponseTerms { bypasses_validation: terms.bypasses_validation || terms.schema.is_none(), ..terms })
}

/// The schema of an analysis, and where it comes from.
struct AnalysisSchema {
    /// The JSON Schema; none if it is deleted.
    schema: Option<Value>,
    definition: Option<AppliedDefinition>,
    used: SchemaUsed,
}

/// Resolves the schema: the request's own, a stored one, that of the template, or the default one.
async fn resolve_schema(
    gateway: &Components,
    caller: &Caller,
    schema: Option<Value>,
    schema_id: Option<String>,
    of_template: Option<String>,
) -> Result<AnalysisSchema, ApiError> {
    let unstored = |schema, source: &str| {
        let used = SchemaUsed { source: source.to_owned(), id: None, version: None };
        AnalysisSchema { schema: Some(schema), definition: None, used }
    };
    if let Some(schema) = schema {
        if schema_id.is_some() {
            let message = "schema and schema_id exclude each other: send one of them";
            return Err(ApiError::invalid("schema_id", message));
        }
        check_schema(&schema, &gateway.analyze_settings)?;
        return Ok(unstored(schema, "inline"));
    }
    let Some(reference) = schema_id.or(of_template) else {
        return Ok(unstored(DEFAULT_SCHEMA.clone(), DEFAULT_SOURCE));
    };
    let resolved = gateway.definitions.schema(caller, &reference).await?;
    let used = stored(&resolved.definition);
    Ok(AnalysisSchema { schema: Some(resolved.schema), definition: Some(resolved.definition), used })
}

fn stored(definition: &AppliedDefinition) -> SchemaUsed {
    let (id, version) = (definition.id.clone(), definition.version.to_string());
    SchemaUsed { source: "stored".to_owned(), id: Some(id), version: Some(version) }
}

/// The messages: those of the template, with the prompt after them, or the gateway's own.
fn conversation(
    prompt: String,
    template: Option<RenderedTemplate>,
    schema: &Value,
    language: Option<Language>,
) -> Conversation {
    let Some(template) = template else {
        let messages = instructions::messages(prompt, schema, language);
        return Conversation { messages, template: None, model: None, sampling: Sampling::default() };
    };
    let RenderedTemplate { definition, mut messages, model, sampling, .. } = template;
    if let Some(language) = language {
        messages.insert(0, Message::new(Role::System, instructions::language_instruction(language)));
    }
    if !prompt.is_empty() {
        messages.push(Message::new(Role::User, prompt));
    }
    Conversation { messages, template: Some(definition), model, sampling }
}

/// Searches the prompt and the variables for patterns of attacks.
fn search_attacks(
    prompt: Option<&str>,
    variables: &Map<String, Value>,
    settings: &AnalyzeSettings,
) -> Result<Vec<SuspicionBody>, ApiError> {
    let mut matches = Vec::new();
    if let Some(prompt) = prompt {
        suspicion::search("prompt", prompt, &mut matches);
    }
    for (field, text) in texts_of_variables(variables, settings)? {
        suspicion::search(&field, text, &mut matches);
    }
    Ok(matches)
}

/// The text whose language is detected: the prompt, else the texts of the variables.
fn text_of_language(prompt: Option<&str>, variables: &Map<String, Value>) -> String {
    match prompt {
        Some(prompt) => prompt.to_owned(),
        None => variables.values().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
    }
}

fn requested_language(
    option: Option<&str>,
    detected: Option<DetectedLanguage>,
) -> Result<Option<Language>, ApiError> {
    let Some(text) = option else { return Ok(None) };
    if text.trim().eq_ignore_ascii_case(ORIGINAL) {
        return Ok(detected.map(|detected| detected.language));
    }
    let language = Language::parse(text);
    let message = "options.language must be a language's code or English name, such as \"de\", \"deu\" or \"German\", or \
                   \"original\" for that of the text";
    language.map(Some).ok_or_else(|| ApiError::invalid("options.language", message))
}

/// The terms of a response.
fn terms(
    text: AnalyzedText,
    schema: AnalysisSchema,
    template: Option<&AppliedDefinition>,
    options: &AnalyzeOptions,
    settings: &AnalyzeSettings,
) -> Result<ResponseTerms, ApiError> {
    let AnalyzedText { detected, requested, suspicious, .. } = text;
    let template = template.map(|definition| TemplateUsed {
        id: definition.id.clone(),
        version: definition.version.to_string(),
    });
    Ok(ResponseTerms {
        schema: schema.schema,
        schema_used: schema.used,
        template,
        format: options.format.unwrap_or_default(),
        threshold: threshold(options, settings)?,
        bypasses_validation: options.bypass_validation == Some(true),
        detected,
        requested,
        suspicious,
    })
}

fn threshold(options: &AnalyzeOptions, settings: &AnalyzeSettings) -> Result<f64, ApiError> {
    let threshold = options.confidence_threshold.unwrap_or(settings.confidence_threshold);
    if (0.0..=1.0).contains(&threshold) {
        return Ok(threshold);
    }
    Err(ApiError::invalid("options.confidence_threshold", "options.confidence_threshold must be 0 to 1"))
}

fn samples(options: &AnalyzeOptions) -> Result<u32, ApiError> {
    let samples = options.samples.unwrap_or(1);
    if (1..=SAMPLES_MAX_COUNT).contains(&samples) {
        return Ok(samples);
    }
    let message = format!("options.samples must be 1 to {SAMPLES_MAX_COUNT}");
    Err(ApiError::invalid("options.samples", message))
}

fn generation(
    conversation: Conversation,
    schema: &Value,
    options: AnalyzeOptions,
    context: &AnalysisContext,
) -> Result<Generation, ApiError> {
    const ATTEMPTS: u32 = StructuredOptions::ATTEMPTS_MAX_COUNT;
    if options.max_attempts.is_some_and(|attempts| !(1..=ATTEMPTS).contains(&attempts)) {
        let message = format!("options.max_attempts must be 1 to {ATTEMPTS}");
        return Err(ApiError::invalid("options.max_attempts", message));
    }
    let Conversation { messages, model, sampling, .. } = conversation;
    let temperature = options.temperature.or(sampling.temperature).or(Some(0.0));
    let max_tokens = options.max_tokens.or(sampling.max_tokens);
    let sampling = Sampling { temperature, max_tokens, ..sampling };
    let task = TextTask {
        response_format: ResponseFormat::JsonSchema(schema.clone()),
        schema_label: SchemaLabel { name: Some("analysis".to_owned()), ..SchemaLabel::default() },
        structured: StructuredOptions {
            max_attempts: Some(options.max_attempts.unwrap_or(StructuredOptions::DEFAULT_ATTEMPTS)),
            allow_relaxed: options.allow_relaxed == Some(true),
            bypass_validation: options.bypass_validation == Some(true),
        },
        top_logprobs: Some(0),
        logprobs_if_available: true,
        ..TextTask::new(messages, sampling)
    };
    task.check().map_err(|error| ApiError::unfit(super::errors::field_of(error.field), &error))?;
    let cache = match options.bypass_cache {
        Some(true) => CacheControl::NoCache,
        Some(false) | None => context.cache.unwrap_or_default(),
    };
    Ok(Generation {
        cache,
        deadline: context.deadline,
        on_disconnect: context.on_disconnect,
        route: Route { provider: options.provider, ..Route::default() },
        ..Generation::new(options.model.or(model).map(ModelId::new), task)
    })
}
