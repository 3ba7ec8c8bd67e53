//! The list of OpenAI (<https://platform.openai.com/docs/api-reference/models/list>), of Anthropic
//! (<https://platform.claude.com/docs/en/api/models-list>), and of vendors with a similar list and more fields: OpenRouter
//! (<https://openrouter.ai/docs/api-reference/list-available-models>), Hugging Face's router
//! (<https://huggingface.co/docs/inference-providers/hub-api>), Mistral
//! (<https://docs.mistral.ai/api/#tag/models>), Groq (<https://console.groq.com/docs/api-reference#models>), vLLM and
//! llama-server. Names of fields differ, but no name has two meanings.

use hearth_domain::{Capability, Cost, Input, Modality, Price, Rate, Tier, Timestamp};
use serde_json::Value;

use super::page::{Page, text, tokens};
use crate::model_info::{ListedModel, ModelOverride};

pub(super) fn page(body: &Value) -> Page {
    let list = body["data"].as_array().or_else(|| body.as_array());
    let models = list.into_iter().flatten().filter_map(model).collect();
    // Only Anthropic's list has pages.
    let has_more = body["has_more"] == true;
    let next = text(&body["last_id"]).filter(|_| has_more).map(|last| ("after_id", last));
    Page { models, next }
}

fn model(model: &Value) -> Option<ListedModel> {
    // Groq's field for models that are switched off.
    if model["active"] == false {
        return None;
    }
    Some(ListedModel { id: model["id"].as_str()?.to_owned(), created: created(model), info: info(model) })
}

fn created(model: &Value) -> Option<i64> {
    let at = model["created_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    model["created"].as_i64().filter(|at| *at > 0).or(at.map(Timestamp::unix))
}

fn info(model: &Value) -> ModelOverride {
    let price = price(&model["pricing"]);
    let is_free = price.as_ref().is_some_and(|price| *price == Price::free());
    ModelOverride {
        name: ["display_name", "name"].iter().find_map(|field| text(&model[*field])),
        modality: modality(&model["architecture"]["output_modalities"]),
        inputs: inputs(&model["architecture"]["input_modalities"]),
        capabilities: capabilities(model),
        context_length: context_length(model),
        max_output_tokens: tokens(&model["max_completion_tokens"])
            .or_else(|| tokens(&model["top_provider"]["max_completion_tokens"])),
        price,
        tier: is_free.then_some(Tier::Free),
        ..ModelOverride::default()
    }
}

fn context_length(model: &Value) -> Option<u32> {
    let fields = [
        &model["context_length"],
        &model["context_window"],
        &model["max_context_length"],
        &model["max_model_len"],
        &model["meta"]["n_ctx"],
        &model["meta"]["n_ctx_train"],
    ];
    // The router may choose any live provider: only the shortest context is certain.
    let routed = || {
        let live = model["providers"].as_array()?.iter().filter(|provider| provider["status"] == "live");
        live.filter_map(|provider| tokens(&provider["context_length"])).min()
    };
    fields.into_iter().find_map(tokens).or_else(routed)
}

fn modality(outputs: &Value) -> Option<Modality> {
    let has = |name: &str| outputs.as_array().is_some_and(|all| all.iter().any(|output| output == name));
    let modalities = [
        ("text", Modality::Text),
        ("image", Modality::Image),
        ("embeddings", Modality::Embedding),
        ("embedding", Modality::Embedding),
    ];
    // A model for text and images counts as one for text.
    modalities.into_iter().find(|(name, _)| has(name)).map(|(_, modality)| modality)
}

fn inputs(names: &Value) -> Option<Vec<Input>> {
    let input = |name: &Value| match name.as_str()? {
        "text" => Some(Input::Text),
        "image" => Some(Input::Image),
        "audio" => Some(Input::Audio),
        _ => None,
    };
    let inputs: Vec<Input> = names.as_array()?.iter().filter_map(input).collect();
    (!inputs.is_empty()).then_some(inputs)
}

/// Returns a model's capabilities if the list has all of them, as OpenRouter's and Mistral's do.
fn capabilities(model: &Value) -> Option<Vec<Capability>> {
    let (parameters, flags) = (model["supported_parameters"].as_array(), model["capabilities"].as_object());
    let accepts = |name: &str| parameters.is_some_and(|all| all.iter().any(|parameter| parameter == name));
    let has = |name: &str| flags.is_some_and(|flags| flags.get(name).is_some_and(|value| *value == true));
    if parameters.is_none() && !flags.is_some_and(|flags| flags.contains_key("completion_chat")) {
        return None;
    }
    let has_chat = parameters.is_some() || has("completion_chat");
    let has_vision = has("vision")
        || inputs(&model["architecture"]["input_modalities"])
            .is_some_and(|inputs| inputs.contains(&Input::Image));
    let all = [
        (Capability::Chat, has_chat),
        (Capability::Tools, accepts("tools") || has("function_calling")),
        (Capability::Vision, has_vision),
        // All chat models of Mistral's support schemas.
        (Capability::JsonSchema, accepts("structured_outputs") || has("completion_chat")),
        (Capability::Reasoning, accepts("reasoning") || has("reasoning")),
    ];
    Some(all.into_iter().filter(|(_, has)| *has).map(|(capability, _)| capability).collect())
}

/// Reads OpenRouter's prices: dollars per token, as text; negative if they depend on the request.
fn price(pricing: &Value) -> Option<Price> {
    let rate = |field: &str| Rate::per_token(pricing[field].as_str()?.parse::<Cost>().ok()?);
    Some(Price {
        input: Some(rate("prompt")?),
        output: Some(rate("completion")?),
        cached_input: rate("input_cache_read").filter(|rate| *rate != Rate::FREE),
        cache_write: rate("input_cache_write").filter(|rate| *rate != Rate::FREE),
        reasoning: rate("internal_reasoning").filter(|rate| *rate != Rate::FREE),
        image: None,
        long: None,
    })
}
