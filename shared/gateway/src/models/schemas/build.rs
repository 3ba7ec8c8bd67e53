//! Builds the schema of a model's parameters from its metadata.

use hearth_domain::{Capability, Modality};
use hearth_providers::config::LOCAL;
use hearth_wire::native::models::ModelBody;
use serde_json::{Map, Value, json};

/// The draft of the schemas.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Limit of stop texts.
const STOPS_MAX_COUNT: usize = 16;

/// The parameters of `POST /v1/generate`.
pub(super) const PARAMETERS: [&str; 29] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "max_tokens",
    "ignore_eos",
    "n",
    "response_format",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "chat_template_kwargs",
    "size",
    "width",
    "height",
    "quality",
    "format",
    "background",
    "negative_prompt",
    "steps",
    "guidance_scale",
    "strength",
    "texture_size",
];

/// The schema of a model's parameters; without a model, of the parameters of every model.
pub(super) fn schema(model: Option<&ModelBody>) -> Value {
    let mut properties = Map::new();
    match model.map(|model| model.modality) {
        None => {
            add_text(&mut properties, None);
            add_image(&mut properties);
            add_mesh(&mut properties);
        }
        Some(Modality::Text) => add_text(&mut properties, model),
        Some(Modality::Image) => add_image(&mut properties),
        Some(Modality::ThreeD) => add_mesh(&mut properties),
        Some(Modality::Embedding) => {}
    }
    add_defaults(&mut properties, model);
    let title = match model {
        Some(model) => format!("Parameters of {}", model.id),
        None => "Parameters of POST /v1/generate".to_owned(),
    };
    json!({
        "$schema": DRAFT,
        "title": title,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn number(description: &str, range: (f64, f64), example: f64) -> Value {
    json!({"type": "number", "description": description, "minimum": range.0, "maximum": range.1, "examples": [example]})
}

fn integer(description: &str, range: (u32, Option<u32>), example: u32) -> Value {
    let mut schema = json!({"type": "integer", "description": description, "minimum": range.0});
    let example = range.1.map_or(example, |max| example.min(max));
    schema["examples"] = json!([example]);
    if let Some(max) = range.1 {
        schema["maximum"] = json!(max);
    }
    schema
}

fn text(description: &str, example: &str) -> Value {
    json!({"type": "string", "description": description, "examples": [example]})
}

fn choice(description: &str, values: &[&str]) -> Value {
    json!({"type": "string", "description": description, "enum": values, "examples": [values[0]]})
}

fn add_text(properties: &mut Map<String, Value>, model: Option<&ModelBody>) {
    let is_local = model.is_none_or(|model| model.node.is_some() || model.provider == LOCAL);
    let can = |capability| model.is_none_or(|model| model.capabilities.contains(&capability));
    let tokens = model.and_then(|model| model.max_output_tokens.or(model.context_length));
    let mut add = |name: &str, schema: Value| drop(properties.insert(name.to_owned(), schema));
    add("temperature", number("Randomness: 0 always chooses the likeliest token.", (0.0, 2.0), 0.7));
    add("top_p", number("Smallest set of likely tokens with this total probability.", (0.0, 1.0), 0.95));
    add("max_tokens", integer("Maximum number of tokens to generate.", (1, tokens), 512));
    let stop = json!({
        "description": "Text, or texts, before which the answer ends.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": STOPS_MAX_COUNT}],
        "examples": [["\n\n"]],
    });
    add("stop", stop);
    add("seed", integer("Seed for reproducible results.", (0, Some(u32::MAX)), 42));
    add("presence_penalty", number("Penalty for tokens that have occurred.", (-2.0, 2.0), 0.0));
    add("frequency_penalty", number("Penalty for each occurrence of a token.", (-2.0, 2.0), 0.0));
    add("n", integer("Number of answers.", (1, Some(32)), 1));
    add("logprobs", json!({"type": "boolean", "description": "True to return log-probabilities."}));
    let count = "With logprobs: number of likeliest tokens to return for each position.";
    add("top_logprobs", integer(count, (0, Some(20)), 5));
    let bias = "Bias of tokens, added to their logits, by token id.";
    let values = json!({"type": "number", "minimum": -100, "maximum": 100});
    add("logit_bias", json!({"type": "object", "description": bias, "additionalProperties": values}));
    if can(Capability::JsonSchema) {
        let example =
            json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}});
        let description = "Format of the answer: text, a JSON object, or JSON by a schema.";
        add("response_format", json!({"type": "object", "description": description, "examples": [example]}));
    }
    if can(Capability::Reasoning) {
        let efforts = ["low", "none", "minimal", "medium", "high"];
        add("reasoning_effort", choice("Effort of reasoning before the answer.", &efforts));
    }
    if is_local {
        add("top_k", integer("Number of the likeliest tokens to choose from; 0 keeps all.", (0, None), 40));
        add("min_p", number("Smallest probability of a token, relative to the likeliest.", (0.0, 1.0), 0.05));
        let penalty = "Factor by which recent tokens become less likely; above 0.";
        let range = json!({"type": "number", "description": penalty, "exclusiveMinimum": 0, "maximum": 2, "examples": [1.1]});
        add("repeat_penalty", range);
        let eos = "True to generate past the end-of-turn token.";
        add("ignore_eos", json!({"type": "boolean", "description": eos, "default": false}));
        let kwargs = "Values for the model's chat template.";
        let example = json!({"enable_thinking": false});
        add("chat_template_kwargs", json!({"type": "object", "description": kwargs, "examples": [example]}));
    }
}

fn add_image(properties: &mut Map<String, Value>) {
    let mut add = |name: &str, schema: Value| drop(properties.insert(name.to_owned(), schema));
    add("size", text("Width and height in pixels.", "1024x1024"));
    add("width", integer("Width in pixels, in place of size and with height.", (1, Some(16_384)), 1024));
    add("height", integer("Height in pixels.", (1, Some(16_384)), 1024));
    add("quality", text("Quality in the provider's words.", "high"));
    add(
        "format",
        choice("File format: png, jpeg or webp for images, glb for meshes.", &["png", "jpeg", "webp", "glb"]),
    );
    add("background", choice("Background of the image.", &["auto", "transparent", "opaque"]));
    add("negative_prompt", text("Description of what the image must not show.", "text, watermark"));
    add("steps", integer("Number of steps of a diffusion model.", (1, Some(500)), 30));
    add(
        "guidance_scale",
        number("Guidance scale: higher follows the prompt more closely.", (0.0, 100.0), 7.5),
    );
    add("strength", number("Share of the input image to change.", (0.0, 1.0), 0.6));
    add("seed", integer("Seed for reproducible results.", (0, Some(u32::MAX)), 42));
    add("n", integer("Number of images.", (1, Some(32)), 1));
}

fn add_mesh(properties: &mut Map<String, Value>) {
    let mut add = |name: &str, schema: Value| {
        properties.entry(name.to_owned()).or_insert(schema);
    };
    add("format", choice("File format of the mesh.", &["glb"]));
    let texture = "Side length of the texture in pixels.";
    add(
        "texture_size",
        json!({"type": "integer", "description": texture, "enum": [512, 1024, 2048], "examples": [1024]}),
    );
    add(
        "guidance_scale",
        number("Guidance scale: higher follows the input more closely.", (0.0, 100.0), 7.5),
    );
    add("seed", integer("Seed for reproducible results.", (0, Some(u32::MAX)), 42));
}

/// Adds the defaults of an explicit entry.
fn add_defaults(properties: &mut Map<String, Value>, model: Option<&ModelBody>) {
    let registration = model.and_then(|model| model.registration.as_ref());
    let text = registration.map(|entry| serde_json::to_string(&entry.parameters).unwrap_or_default());
    // By way of the text, a number of 32 bits has the digits that its author wrote.
    let defaults: Map<String, Value> =
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    for (name, value) in defaults {
        if let Some(property) = properties.get_mut(&name) {
            property["default"] = value;
        }
    }
}

/// Guidance on the use of a model; without one, on the choice of a model.
pub(super) fn guidance(model: Option<&ModelBody>) -> Vec<String> {
    let Some(model) = model else {
        return vec![
            "Name a model by its id, or leave `model` out, or send \"auto\": the gateway then chooses one that fits."
                .to_owned(),
            "GET /v1/schema?model=ID has the parameters and the bounds of one model.".to_owned(),
            "GET /v1/models?capability=tools lists the models that can call tools; `modality`, `provider`, `search` and \
             `sort` narrow the list."
                .to_owned(),
        ];
    };
    let mut guidance = Vec::new();
    if let Some(description) = &model.description {
        guidance.push(description.clone());
    }
    if let Some(card) = model.card.as_ref().filter(|card| !card.recommended_parameters.is_empty()) {
        let parameters = serde_json::to_string(&card.recommended_parameters).unwrap_or_default();
        guidance.push(format!("Its makers recommend these parameters: {parameters}."));
    }
    if let Some(tokens) = model.context_length {
        guidance.push(format!("Prompt and completion together have at most {tokens} tokens."));
    }
    if model.modality == Modality::Text {
        guidance.push(
            "For facts and code use a temperature of 0 to 0.3, for free text one of 0.7 to 1.".to_owned(),
        );
    }
    if model.capabilities.contains(&Capability::Tools) {
        guidance.push("It can call tools: send them in `tools`.".to_owned());
    }
    if model.capabilities.contains(&Capability::Vision) {
        guidance.push("It accepts images in `input.images` and in messages.".to_owned());
    }
    if model.modality == Modality::Embedding {
        guidance.push("It makes embeddings: use POST /v1/embeddings.".to_owned());
    }
    guidance
}

/// An example of a request.
pub(super) fn example(model: Option<&ModelBody>) -> Value {
    let id = model.map_or("auto", |model| &model.id);
    let (prompt, parameters) = match model.map_or(Modality::Text, |model| model.modality) {
        Modality::Text => {
            let tokens = model.and_then(|model| model.max_output_tokens.or(model.context_length));
            let tokens = tokens.map_or(200, |tokens| tokens.min(200));
            ("Explain tides in two sentences.", json!({"temperature": 0.7, "max_tokens": tokens}))
        }
        Modality::Image => ("A lighthouse at dawn", json!({"size": "1024x1024"})),
        Modality::ThreeD => ("A wooden chair", json!({"format": "glb"})),
        Modality::Embedding => ("A text", json!({})),
    };
    json!({"model": id, "input": {"prompt": prompt}, "parameters": parameters})
}

#[cfg(test)]
mod tests {
    use hearth_domain::ModelInfo;
    use hearth_wire::native::{models::Availability, request::Parameters};

    use super::*;

    fn model(modality: Modality) -> ModelBody {
        let info = ModelInfo { modality, context_length: Some(4096), ..ModelInfo::default() };
        ModelBody::offered("p", "m", info, Availability::Available, None)
    }

    #[test]
    fn token_limit_is_bounded_by_the_context() {
        let schema = schema(Some(&model(Modality::Text)));
        assert_eq!(schema["properties"]["max_tokens"]["maximum"], 4096);
        assert_eq!(schema["properties"]["top_k"], Value::Null);
        assert_eq!(schema["properties"]["size"], Value::Null);
    }

    #[test]
    fn image_model_has_no_parameters_of_text() {
        let schema = schema(Some(&model(Modality::Image)));
        assert!(schema["properties"]["size"].is_object());
        assert_eq!(schema["properties"]["temperature"], Value::Null);
    }

    #[test]
    fn every_parameter_of_a_request_is_described() {
        let all: Value = serde_json::to_value(Parameters::default()).unwrap();
        let schema = schema(None);
        for name in all.as_object().unwrap().keys() {
            let property = &schema["properties"][name];
            assert!(property["description"].is_string(), "{name}");
            assert!(PARAMETERS.contains(&name.as_str()), "{name}");
        }
        assert_eq!(PARAMETERS.len(), all.as_object().unwrap().len());
    }

    #[test]
    fn examples_of_requests_are_valid() {
        for modality in [Modality::Text, Modality::Image, Modality::ThreeD] {
            let example = example(Some(&model(modality)));
            let parameters: Result<Parameters, _> = serde_json::from_value(example["parameters"].clone());
            parameters.unwrap();
        }
    }
}
