//! Samples, with their functions and the expected responses.

use lambda_emulator::Invocation;

use crate::shapes::{
    has, is_chat_stream, is_empty, is_gemini_stream, is_native_replay, is_native_stream, is_ollama_stream,
    is_preflight, text_has,
};

/// Sample event.
pub(crate) struct Sample {
    /// File in `events/`.
    pub(crate) file: &'static str,
    /// Binary of the function to which API Gateway sends it.
    pub(crate) function: &'static str,
    /// Expected status of the response.
    pub(crate) status: u16,
    /// Checks the response; the error is the missing part.
    pub(crate) shape: fn(&Invocation) -> Result<(), String>,
}

const fn sample(
    function: &'static str,
    file: &'static str,
    status: u16,
    shape: fn(&Invocation) -> Result<(), String>,
) -> Sample {
    Sample { file, function, status, shape }
}

const GENERATE: &str = "hearth-fn-generate";
const MODELS: &str = "hearth-fn-models";
const ACCOUNTS: &str = "hearth-fn-accounts";
const OPS: &str = "hearth-fn-ops";

/// All files of `events/`. Those of one function are sent in this order.
pub(crate) const SAMPLES: &[Sample] = &[
    sample(GENERATE, "post_v1.generate.json", 200, is_native_stream),
    sample(GENERATE, "post_v1.chat.completions.json", 200, is_chat_stream),
    sample(GENERATE, "options_v1.chat.completions.json", 200, is_preflight),
    sample(GENERATE, "post_v1.completions.json", 200, |a| has(a, &["/id", "/choices/0/text"])),
    sample(GENERATE, "post_v1.responses.json", 200, |a| has(a, &["/id", "/output/0/content/0/text"])),
    sample(GENERATE, "post_v1.messages.json", 200, |a| has(a, &["/id", "/content/0/text"])),
    sample(GENERATE, "post_v1.messages.count_tokens.json", 200, |a| has(a, &["/input_tokens"])),
    sample(GENERATE, "post_api.chat.json", 200, is_ollama_stream),
    sample(GENERATE, "post_api.generate.json", 200, |a| {
        has(a, &["/response", "/done_reason", "/eval_count"])
    }),
    sample(GENERATE, "post_api.embed.json", 503, |a| has(a, &["/error", "/code", "/request_id"])),
    sample(GENERATE, "post_api.embeddings.json", 503, |a| has(a, &["/error", "/code"])),
    sample(GENERATE, "post_v1beta.models.model.generateContent.json", 200, |a| {
        has(a, &["/candidates/0/content/parts/0/text", "/usageMetadata/totalTokenCount", "/responseId"])
    }),
    sample(GENERATE, "post_v1beta.models.model.streamGenerateContent.json", 200, is_gemini_stream),
    sample(GENERATE, "post_v1beta.models.model.countTokens.json", 200, |a| has(a, &["/totalTokens"])),
    sample(GENERATE, "get_v1beta.models.json", 200, |a| has(a, &["/models/0/name"])),
    sample(GENERATE, "get_v1beta.models.model.json", 200, |a| has(a, &["/supportedGenerationMethods/0"])),
    sample(GENERATE, "post_v1beta.models.model.embedContent.json", 404, |a| has(a, &["/error/status"])),
    sample(GENERATE, "post_v1beta.models.model.batchEmbedContents.json", 404, |a| has(a, &["/error/status"])),
    // The node of these tests has no embedding model.
    sample(GENERATE, "post_v1.embeddings.json", 503, |a| has(a, &["/error/code", "/error/request_id"])),
    sample(GENERATE, "get_v1.route.json", 200, |a| has(a, &["/candidates/0/reason", "/passed_over"])),
    // No provider is set up that makes images, and so there is no artifact either.
    sample(GENERATE, "post_v1.images.generations.json", 503, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.images.edits.json", 503, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.artifacts.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.requests.id.json", 200, |a| has(a, &["/request_id", "/status", "/output/text"])),
    sample(GENERATE, "get_v1.requests.id.status.json", 200, |a| has(a, &["/request_id", "/status"])),
    sample(GENERATE, "get_v1.requests.id.events.json", 200, is_native_replay),
    sample(GENERATE, "post_v1.requests.id.cancel.json", 200, |a| has(a, &["/request_id", "/cancelled"])),
    sample(GENERATE, "delete_v1.requests.id.json", 200, |a| has(a, &["/request_id", "/cancelled"])),
    // There is no cache unless the stack's parameters say so.
    sample(GENERATE, "delete_v1.cache.json", 200, |a| has(a, &["/deleted"])),
    sample(GENERATE, "get_v1.cache.stats.json", 200, |a| has(a, &["/enabled", "/hits", "/entries"])),
    // The run of these samples is of another dialect.
    sample(GENERATE, "get_v1.responses.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.responses.id.json", 404, |a| has(a, &["/error/code"])),
    sample(MODELS, "get_v1.models.json", 200, |a| has(a, &["/object", "/data/0/id", "/models/0/id"])),
    sample(MODELS, "head_v1.models.json", 200, is_empty),
    sample(MODELS, "options_v1.models.json", 200, is_preflight),
    sample(MODELS, "get_v1.models.id.json", 200, |a| has(a, &["/id", "/runtime_status/state"])),
    sample(MODELS, "get_v1.models.id.status.json", 200, |a| has(a, &["/model", "/runtime_status/state"])),
    sample(MODELS, "post_v1.models.id.load.json", 202, |_| Ok(())),
    sample(MODELS, "get_v1.models.loaded.json", 200, |a| has(a, &["/models"])),
    sample(MODELS, "post_v1.models.id.unload.json", 202, |_| Ok(())),
    // It is the default model of its node.
    sample(MODELS, "delete_v1.models.id.json", 409, |a| has(a, &["/error/code"])),
    sample(MODELS, "get_api.tags.json", 200, |a| has(a, &["/models/0/name", "/models/0/digest"])),
    sample(MODELS, "post_api.show.json", 200, |a| has(a, &["/details/family", "/capabilities/0"])),
    sample(MODELS, "get_api.ps.json", 200, |a| has(a, &["/models"])),
    sample(MODELS, "post_api.pull.json", 200, |a| has(a, &["/status"])),
    sample(MODELS, "delete_api.delete.json", 404, |a| has(a, &["/error", "/code"])),
    sample(MODELS, "get_api.version.json", 200, |a| has(a, &["/version"])),
    sample(MODELS, "put_v1.providers.name.key.json", 204, |_| Ok(())),
    sample(MODELS, "get_v1.providers.json", 200, |a| has(a, &["/providers/0/configured"])),
    sample(MODELS, "delete_v1.providers.name.key.json", 204, |_| Ok(())),
    sample(MODELS, "get_v1.config.json", 200, |a| has(a, &["/configuration", "/version_in_force"])),
    sample(MODELS, "put_v1.config.json", 200, |a| has(a, &["/configuration/aliases/fast", "/stored/author"])),
    sample(MODELS, "get_v1.config.versions.json", 200, |a| has(a, &["/versions/0/version"])),
    sample(MODELS, "get_v1.config.versions.version.json", 200, |a| has(a, &["/configuration/aliases"])),
    sample(MODELS, "post_v1.config.versions.version.restore.json", 200, |a| has(a, &["/stored/restores"])),
    sample(ACCOUNTS, "post_v1.users.tokens.json", 201, |a| has(a, &["/token", "/id", "/prefix"])),
    sample(ACCOUNTS, "options_v1.users.tokens.json", 200, is_preflight),
    sample(ACCOUNTS, "get_v1.users.tokens.json", 200, |a| has(a, &["/tokens/0/id"])),
    sample(ACCOUNTS, "delete_v1.users.tokens.id.json", 204, |_| Ok(())),
    sample(OPS, "get_health.json", 200, |a| has(a, &["/status"])),
    sample(OPS, "head_health.json", 200, is_empty),
    sample(OPS, "get_version.json", 200, |a| has(a, &["/version"])),
    sample(OPS, "get_ready.json", 200, |a| has(a, &["/status"])),
    sample(OPS, "get_metrics.json", 200, |a| text_has(a, "# TYPE hearth_")),
    sample(OPS, "get_openapi.json.json", 200, |a| has(a, &["/openapi", "/paths/~1v1~1generate"])),
    sample(OPS, "get_docs.json", 200, |a| text_has(a, "<html")),
    sample(OPS, "get_docs.file.json", 200, |a| text_has(a, ".swagger-ui")),
];
