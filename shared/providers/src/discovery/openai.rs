//! The list of OpenAI (<https://platform.openai.com/docs/api-reference/models/list>), of Anthropic
//! (<https://platform.claude.com/docs/en/api/models-list>), and of those who speak alike and tell more: OpenRouter
//! (<https://openrouter.ai/docs/api-reference/list-available-models>), Hugging Face's router
//! (<https://huggingface.co/docs/inference-providers/hub-api>), Mistral
//! (<https://docs.mistral.ai/api/#tag/models>), Groq (<https://console.groq.com/docs/api-reference#models>), vLLM and
//! llama-server. Each names a thing differently, and none means another thing by a name.

use hearth_domain::{Capability, Cost, Input, Modality, Price, Rate, Tier, Timestamp};
use serde_json::Value;

use super::{Listed, Page, text, tokens};
use crate::catalog::Override;

pub(super) fn page(said: &Value) -> Page {
    let list = said["data"].as_array().or_else(|| said.as_array());
    let models = list.into_iter().flatten().filter_map(model).collect();
    // Anthropic's alone has pages.
    let more = said["has_more"] == true;
    let next = text(&said["last_id"]).filter(|_| more).map(|last| ("after_id", last));
    Page { models, next }
}

fn model(said: &Value) -> Option<Listed> {
    // Groq's switch, and Mistral's models that don't chat: some of those embed, and the catalog knows them.
    if said["active"] == false {
        return None;
    }
    Some(Listed { id: said["id"].as_str()?.to_owned(), created: created(said), told: told(said) })
}

fn created(said: &Value) -> Option<i64> {
    let at = said["created_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    said["created"].as_i64().filter(|at| *at > 0).or(at.map(Timestamp::unix))
}

fn told(said: &Value) -> Override {
    let price = price(&said["pricing"]);
    let is_free = price.as_ref().is_some_and(|price| *price == Price::free());
    Override {
        name: ["display_name", "name"].iter().find_map(|field| text(&said[*field])),
        modality: modality(&said["architecture"]["output_modalities"]),
        inputs: inputs(&said["architecture"]["input_modalities"]),
        capabilities: capabilities(said),
        context_length: context(said),
        max_output_tokens: tokens(&said["max_completion_tokens"])
            .or_else(|| tokens(&said["top_provider"]["max_completion_tokens"])),
        price,
        tier: is_free.then_some(Tier::Free),
        ..Override::default()
    }
}

fn context(said: &Value) -> Option<u32> {
    let places = [
        &said["context_length"],
        &said["context_window"],
        &said["max_context_length"],
        &said["max_model_len"],
        &said["meta"]["n_ctx"],
        &said["meta"]["n_ctx_train"],
    ];
    // The router may take any that lives: what the least of them can is sure.
    let routed = || {
        let living = said["providers"].as_array()?.iter().filter(|one| one["status"] == "live");
        living.filter_map(|one| tokens(&one["context_length"])).min()
    };
    places.into_iter().find_map(tokens).or_else(routed)
}

fn modality(made: &Value) -> Option<Modality> {
    let makes = |what: &str| made.as_array().is_some_and(|made| made.iter().any(|one| one == what));
    let known = [
        ("text", Modality::Text),
        ("image", Modality::Image),
        ("embeddings", Modality::Embedding),
        ("embedding", Modality::Embedding),
    ];
    // Who writes and paints is asked for text first.
    known.into_iter().find(|(what, _)| makes(what)).map(|(_, modality)| modality)
}

fn inputs(taken: &Value) -> Option<Vec<Input>> {
    let input = |one: &Value| match one.as_str()? {
        "text" => Some(Input::Text),
        "image" => Some(Input::Image),
        "audio" => Some(Input::Audio),
        _ => None,
    };
    let inputs: Vec<Input> = taken.as_array()?.iter().filter_map(input).collect();
    (!inputs.is_empty()).then_some(inputs)
}

/// What a model can do, where the list tells all of it: OpenRouter's and Mistral's do.
fn capabilities(said: &Value) -> Option<Vec<Capability>> {
    let (parameters, own) = (said["supported_parameters"].as_array(), said["capabilities"].as_object());
    let takes = |name: &str| parameters.is_some_and(|all| all.iter().any(|one| one == name));
    let has = |name: &str| own.is_some_and(|own| own.get(name).is_some_and(|value| *value == true));
    if parameters.is_none() && !own.is_some_and(|own| own.contains_key("completion_chat")) {
        return None;
    }
    let chats = parameters.is_some() || has("completion_chat");
    let sees = has("vision")
        || inputs(&said["architecture"]["input_modalities"])
            .is_some_and(|inputs| inputs.contains(&Input::Image));
    let can = [
        (Capability::Chat, chats),
        (Capability::Tools, takes("tools") || has("function_calling")),
        (Capability::Vision, sees),
        // All of Mistral's that chat take a schema.
        (Capability::JsonSchema, takes("structured_outputs") || has("completion_chat")),
        (Capability::Reasoning, takes("reasoning") || has("reasoning")),
    ];
    Some(can.into_iter().filter(|(_, can)| *can).map(|(capability, _)| capability).collect())
}

/// OpenRouter's prices: dollars for a token, as text; below zero where they depend on the request.
fn price(said: &Value) -> Option<Price> {
    let rate = |field: &str| Rate::per_token(said[field].as_str()?.parse::<Cost>().ok()?);
    Some(Price {
        input: Some(rate("prompt")?),
        output: Some(rate("completion")?),
        cached_input: rate("input_cache_read").filter(|rate| *rate != Rate::FREE),
        image: None,
        long: None,
    })
}
