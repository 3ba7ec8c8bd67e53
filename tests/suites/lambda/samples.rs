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
const NODES: &str = "hearth-fn-nodes";
const OPS: &str = "hearth-fn-ops";
const SOCKET: &str = "hearth-fn-socket";

/// All files of `events/`. Those of one function are sent in this order.
pub(crate) const SAMPLES: &[Sample] = &[
    // Of the WebSocket API.
    sample(SOCKET, "get_v1.socket.json", 200, is_empty),
    sample(GENERATE, "post_v1.generate.json", 200, is_native_stream),
    sample(GENERATE, "post_v1.analyze.json", 200, |a| {
        has(a, &["/data/urgency", "/validation_status", "/confidence", "/how", "/request_id"])
    }),
    sample(GENERATE, "post_v1.analyze.batch.json", 200, |a| {
        has(a, &["/results/0/analysis/data/urgency", "/results/2/duplicate_of", "/summary/ok"])
    }),
    sample(GENERATE, "post_v1.chat.completions.json", 200, is_chat_stream),
    sample(GENERATE, "options_v1.chat.completions.json", 200, is_preflight),
    sample(GENERATE, "post_v1.completions.json", 200, |a| has(a, &["/id", "/choices/0/text"])),
    sample(GENERATE, "post_v1.responses.json", 200, |a| has(a, &["/id", "/output/0/content/0/text"])),
    sample(GENERATE, "post_v1.conversations.json", 200, |a| has(a, &["/id", "/metadata/topic"])),
    sample(GENERATE, "get_v1.conversations.id.json", 200, |a| has(a, &["/id", "/created_at"])),
    sample(GENERATE, "post_v1.conversations.id.json", 200, |a| has(a, &["/id", "/metadata/topic"])),
    sample(GENERATE, "post_v1.conversations.id.items.json", 200, |a| has(a, &["/data/0/id", "/first_id"])),
    sample(GENERATE, "get_v1.conversations.id.items.json", 200, |a| has(a, &["/data/0/id", "/object"])),
    // There is no such item, and no such conversation.
    sample(GENERATE, "get_v1.conversations.id.items.item_id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.conversations.id.items.item_id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.conversations.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.sessions.id.generate.json", 200, is_native_stream),
    sample(GENERATE, "post_v1.sessions.id.regenerate.json", 200, |a| {
        has(a, &["/request_id", "/session_id", "/message_id"])
    }),
    sample(GENERATE, "post_v1.sessions.json", 201, |a| has(a, &["/id", "/title", "/created_at"])),
    sample(GENERATE, "get_v1.sessions.json", 200, |a| {
        has(a, &["/sessions/0/id", "/sessions/0/last_used_at"])
    }),
    sample(GENERATE, "get_v1.sessions.search.json", 200, |a| {
        has(a, &["/results/0/session/id", "/results/0/snippet"])
    }),
    sample(GENERATE, "post_v1.sessions.import.json", 200, |a| has(a, &["/format", "/imported/0/id"])),
    sample(GENERATE, "get_v1.sessions.id.json", 200, |a| has(a, &["/id", "/messages", "/status"])),
    sample(GENERATE, "put_v1.sessions.id.json", 200, |a| has(a, &["/id", "/title"])),
    sample(GENERATE, "post_v1.sessions.id.archive.json", 200, |a| has(a, &["/id", "/status"])),
    sample(GENERATE, "get_v1.sessions.id.messages.json", 200, |a| has(a, &["/messages"])),
    // There is no such message, and no such branch.
    sample(GENERATE, "get_v1.sessions.id.messages.message.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "patch_v1.sessions.id.messages.message.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.sessions.id.messages.message.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.sessions.id.branches.json", 201, |a| {
        has(a, &["/branches/0/name", "/branches/0/active"])
    }),
    sample(GENERATE, "get_v1.sessions.id.branches.json", 200, |a| has(a, &["/branches/0/name"])),
    sample(GENERATE, "post_v1.sessions.id.switch.json", 200, |a| has(a, &["/id", "/branch"])),
    sample(GENERATE, "delete_v1.sessions.id.branches.branch.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.sessions.id.export.json", 200, |a| {
        has(a, &["/format", "/session/id", "/messages"])
    }),
    sample(GENERATE, "post_v1.sessions.id.reset.json", 200, |a| has(a, &["/id", "/reset_at"])),
    sample(GENERATE, "delete_v1.sessions.id.json", 200, |a| has(a, &["/id", "/expires_at"])),
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
    sample(GENERATE, "get_v1.artifacts.json", 200, |a| has(a, &["/artifacts"])),
    sample(GENERATE, "delete_v1.artifacts.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.files.json", 200, |a| has(a, &["/id", "/filename", "/media_type"])),
    sample(GENERATE, "get_v1.files.json", 200, |a| has(a, &["/data/0/id", "/has_more"])),
    // There is no file with this id.
    sample(GENERATE, "get_v1.files.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.files.id.content.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.files.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.files.uploads.json", 200, |a| has(a, &["/id", "/put/url"])),
    sample(GENERATE, "post_v1.uploads.json", 200, |a| has(a, &["/id", "/status", "/expires_at"])),
    sample(GENERATE, "get_v1.uploads.json", 200, |a| has(a, &["/data/0/id", "/has_more"])),
    sample(GENERATE, "post_v1.uploads.id.parts.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.uploads.id.complete.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.uploads.id.cancel.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.files.uploads.id.complete.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.files.uploads.id.json", 404, |a| has(a, &["/error/code"])),
    // The signature is none.
    sample(GENERATE, "put_v1.files.uploads.id.content.json", 403, |a| has(a, &["/error/code"])),
    // There is no file and no batch with this id.
    sample(GENERATE, "post_v1.batches.json", 404, |a| has(a, &["/error/code", "/error/param"])),
    sample(GENERATE, "get_v1.batches.json", 200, |a| has(a, &["/data", "/has_more"])),
    sample(GENERATE, "get_v1.batches.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.batches.id.cancel.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.messages.batches.json", 200, |a| {
        has(a, &["/id", "/processing_status", "/request_counts/processing"])
    }),
    sample(GENERATE, "get_v1.messages.batches.json", 200, |a| has(a, &["/data/0/id", "/has_more"])),
    sample(GENERATE, "get_v1.messages.batches.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.messages.batches.id.cancel.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.messages.batches.id.results.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.messages.batches.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.requests.id.json", 200, |a| has(a, &["/request_id", "/status", "/output/text"])),
    sample(GENERATE, "get_v1.requests.id.status.json", 200, |a| has(a, &["/request_id", "/status"])),
    sample(GENERATE, "get_v1.requests.id.events.json", 200, is_native_replay),
    sample(GENERATE, "post_v1.requests.id.cancel.json", 200, |a| has(a, &["/request_id", "/cancelled"])),
    sample(GENERATE, "delete_v1.requests.id.json", 200, |a| has(a, &["/request_id", "/cancelled"])),
    sample(GENERATE, "get_v1.requests.json", 200, |a| {
        has(a, &["/requests/0/request_id", "/requests/0/token", "/requests/0/usage/total_tokens"])
    }),
    // Its prompt isn't stored.
    sample(GENERATE, "post_v1.requests.id.replay.json", 409, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.requests.id.record.json", 200, |a| has(a, &["/request_id", "/deleted"])),
    // There is no such key.
    sample(GENERATE, "post_v1.provider-keys.id.verify.json", 404, |a| has(a, &["/error/code"])),
    // There is no cache unless the stack's parameters say so.
    sample(GENERATE, "delete_v1.cache.json", 200, |a| has(a, &["/deleted"])),
    sample(GENERATE, "get_v1.users.me.export.json", 200, |a| text_has(a, "profile.json")),
    sample(GENERATE, "get_v1.cache.stats.json", 200, |a| has(a, &["/enabled", "/hits", "/entries"])),
    // The run of these samples is of another dialect.
    sample(GENERATE, "get_v1.responses.json", 400, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.responses.id.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "get_v1.responses.id.input_items.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "post_v1.responses.id.cancel.json", 404, |a| has(a, &["/error/code"])),
    sample(GENERATE, "delete_v1.responses.id.json", 404, |a| has(a, &["/error/code"])),
    sample(MODELS, "get_v1.models.json", 200, |a| has(a, &["/object", "/data/0/id", "/models/0/id"])),
    sample(MODELS, "head_v1.models.json", 200, is_empty),
    sample(MODELS, "options_v1.models.json", 200, is_preflight),
    sample(MODELS, "get_v1.models.id.json", 200, |a| has(a, &["/id", "/runtime_status/state"])),
    sample(MODELS, "get_v1.models.id.status.json", 200, |a| has(a, &["/model", "/runtime_status/state"])),
    sample(MODELS, "post_v1.models.id.load.json", 202, |_| Ok(())),
    sample(MODELS, "get_v1.models.loaded.json", 200, |a| has(a, &["/models"])),
    sample(MODELS, "post_v1.models.id.unload.json", 202, |_| Ok(())),
    sample(MODELS, "post_v1.models.json", 201, |a| has(a, &["/id", "/registration/parameters/temperature"])),
    sample(MODELS, "patch_v1.models.id.json", 200, |a| has(a, &["/id", "/registration/name"])),
    sample(MODELS, "post_v1.schemas.json", 201, |a| has(a, &["/id", "/version", "/schema/properties/shop"])),
    sample(MODELS, "get_v1.schemas.json", 200, |a| has(a, &["/data/0/name", "/data/0/latest_version"])),
    sample(MODELS, "get_v1.schemas.id.json", 200, |a| has(a, &["/id", "/labels", "/schema/properties/shop"])),
    sample(MODELS, "put_v1.schemas.id.json", 200, |a| has(a, &["/version", "/message"])),
    sample(MODELS, "patch_v1.schemas.id.json", 200, |a| has(a, &["/description", "/tags/0"])),
    sample(MODELS, "get_v1.schemas.id.versions.json", 200, |a| {
        has(a, &["/data/1/version", "/data/0/sha256"])
    }),
    sample(MODELS, "get_v1.schemas.id.diff.json", 200, |a| {
        has(a, &["/differences/0/path", "/compatibility/change"])
    }),
    sample(MODELS, "post_v1.schemas.id.check.json", 200, |a| has(a, &["/compatible", "/next_version"])),
    sample(MODELS, "put_v1.schemas.id.labels.label.json", 200, |a| has(a, &["/labels/production"])),
    sample(MODELS, "delete_v1.schemas.id.labels.label.json", 200, |a| has(a, &["/name", "/labels"])),
    sample(MODELS, "delete_v1.schemas.id.json", 200, |a| has(a, &["/deleted"])),
    sample(MODELS, "post_v1.templates.json", 201, |a| {
        has(a, &["/id", "/version", "/template/messages/0/content"])
    }),
    sample(MODELS, "get_v1.templates.json", 200, |a| has(a, &["/data/0/name", "/data/0/latest_version"])),
    sample(MODELS, "get_v1.templates.id.json", 200, |a| {
        has(a, &["/id", "/labels", "/template/messages/0/content"])
    }),
    sample(MODELS, "put_v1.templates.id.json", 200, |a| has(a, &["/version", "/message"])),
    sample(MODELS, "patch_v1.templates.id.json", 200, |a| has(a, &["/description", "/tags/0"])),
    sample(MODELS, "get_v1.templates.id.versions.json", 200, |a| {
        has(a, &["/data/1/version", "/data/0/sha256"])
    }),
    sample(MODELS, "get_v1.templates.id.diff.json", 200, |a| {
        has(a, &["/differences/0/path", "/compatibility/change"])
    }),
    sample(MODELS, "post_v1.templates.id.check.json", 200, |a| has(a, &["/compatible", "/next_version"])),
    sample(MODELS, "put_v1.templates.id.labels.label.json", 200, |a| has(a, &["/labels/production"])),
    sample(MODELS, "delete_v1.templates.id.labels.label.json", 200, |a| has(a, &["/name", "/labels"])),
    sample(MODELS, "post_v1.templates.id.render.json", 200, |a| has(a, &["/messages/1/content", "/version"])),
    sample(MODELS, "delete_v1.templates.id.json", 200, |a| has(a, &["/deleted"])),
    sample(MODELS, "put_v1.models.id.schema.json", 200, |a| {
        has(a, &["/version", "/schema/properties/temperature"])
    }),
    sample(MODELS, "get_v1.models.id.schema.json", 200, |a| {
        has(a, &["/model", "/schema/properties/temperature"])
    }),
    sample(MODELS, "get_v1.models.id.schema.versions.json", 200, |a| has(a, &["/versions/0/version"])),
    sample(MODELS, "get_v1.schema.json", 200, |a| has(a, &["/schema/properties/temperature", "/guidance/0"])),
    // Its explicit entry is removed, and its file stays.
    // The node refuses the path when it begins the download.
    sample(MODELS, "post_v1.models.download.json", 202, |a| has(a, &["/id", "/state", "/node"])),
    sample(MODELS, "get_v1.models.search.json", 400, |a| has(a, &["/error/param"])),
    sample(MODELS, "get_v1.jobs.json", 200, |a| has(a, &["/jobs/0/id", "/jobs/1/source"])),
    sample(MODELS, "get_v1.jobs.job.json", 200, |a| has(a, &["/id", "/state"])),
    // The node doesn't know the job, which has ended by that.
    sample(MODELS, "post_v1.jobs.job.pause.json", 409, |a| has(a, &["/error/code"])),
    sample(MODELS, "post_v1.jobs.job.resume.json", 409, |a| has(a, &["/error/code"])),
    sample(MODELS, "delete_v1.jobs.job.json", 200, |a| has(a, &["/error/message", "/ended_at"])),
    // A download has no result, and is begun anew by another route.
    sample(MODELS, "get_v1.jobs.job.result.json", 409, |a| has(a, &["/error/code"])),
    sample(MODELS, "post_v1.jobs.job.retry.json", 409, |a| has(a, &["/error/code"])),
    sample(MODELS, "post_v1.jobs.job.drop.json", 409, |a| has(a, &["/error/code"])),
    sample(MODELS, "post_v1.jobs.json", 202, |a| has(a, &["/id", "/kind"])),
    sample(MODELS, "put_v1.job-pauses.kind.json", 200, |a| has(a, &["/pauses/0/kind"])),
    sample(MODELS, "get_v1.job-pauses.json", 200, |a| has(a, &["/pauses/0/scope"])),
    sample(MODELS, "delete_v1.job-pauses.kind.json", 200, |a| has(a, &["/pauses"])),
    sample(MODELS, "delete_v1.models.id.json", 200, |a| has(a, &["/removed", "/registration"])),
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
    sample(NODES, "post_v1.nodes.codes.json", 201, |a| has(a, &["/code", "/expires_at", "/command"])),
    // There is no such code.
    sample(NODES, "post_v1.node.enroll.json", 403, |a| has(a, &["/error/code"])),
    // These have no signature of an enrolled node.
    sample(NODES, "post_v1.node.report.json", 401, |a| has(a, &["/error/code"])),
    sample(NODES, "get_v1.node.orders.json", 401, |a| has(a, &["/error/code"])),
    sample(NODES, "post_v1.node.runs.id.claim.json", 401, |a| has(a, &["/error/code"])),
    sample(NODES, "post_v1.node.runs.id.events.json", 401, |a| has(a, &["/error/code"])),
    sample(NODES, "post_v1.node.runs.id.refuse.json", 401, |a| has(a, &["/error/code"])),
    sample(NODES, "post_v1.node.calls.id.answer.json", 401, |a| has(a, &["/error/code"])),
    sample(NODES, "get_v1.nodes.json", 200, |a| has(a, &["/nodes/0/id", "/nodes/0/status/transport"])),
    sample(NODES, "get_v1.nodes.id.json", 200, |a| has(a, &["/id", "/status/alive", "/status/models/0/id"])),
    sample(NODES, "patch_v1.nodes.id.json", 200, |a| has(a, &["/id", "/sharing/organisation"])),
    // Its network card isn't known.
    sample(NODES, "post_v1.nodes.id.wake.json", 409, |a| has(a, &["/error/code"])),
    sample(NODES, "delete_v1.nodes.id.json", 204, |_| Ok(())),
    sample(ACCOUNTS, "post_v1.users.provider-keys.json", 201, |a| has(a, &["/id", "/owner", "/hint"])),
    sample(ACCOUNTS, "get_v1.users.provider-keys.json", 200, |a| has(a, &["/provider_keys/0/id"])),
    // There is no such key.
    sample(ACCOUNTS, "patch_v1.users.provider-keys.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "delete_v1.users.provider-keys.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.organisations.id.provider-keys.json", 201, |a| has(a, &["/id", "/owner_id"])),
    sample(ACCOUNTS, "get_v1.organisations.id.provider-keys.json", 200, |a| has(a, &["/provider_keys/0/id"])),
    sample(ACCOUNTS, "patch_v1.organisations.id.provider-keys.key.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "delete_v1.organisations.id.provider-keys.key.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.webhooks.json", 201, |a| has(a, &["/id", "/secret", "/state"])),
    sample(ACCOUNTS, "get_v1.webhooks.json", 200, |a| has(a, &["/webhooks/0/id", "/webhooks/0/url"])),
    // There is no such webhook.
    sample(ACCOUNTS, "get_v1.webhooks.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "patch_v1.webhooks.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "delete_v1.webhooks.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.webhooks.id.test.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.webhooks.id.rotate.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.webhooks.id.pause.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.webhooks.id.resume.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "get_v1.webhooks.id.deliveries.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.webhooks.id.deliveries.event.replay.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.webhooks.id.replay.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "get_v1.sign-in.json", 200, |a| has(a, &["/providers"])),
    // There is no such identity provider.
    sample(ACCOUNTS, "post_v1.users.login.token.json", 400, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.users.login.json", 200, |a| {
        has(a, &["/access_token", "/refresh_token", "/login"])
    }),
    sample(ACCOUNTS, "post_v1.users.refresh.json", 200, |a| has(a, &["/access_token", "/refresh_token"])),
    sample(ACCOUNTS, "get_v1.users.me.logins.json", 200, |a| {
        has(a, &["/logins/0/id", "/logins/0/created_at"])
    }),
    sample(ACCOUNTS, "delete_v1.users.me.logins.id.json", 204, |_| Ok(())),
    sample(ACCOUNTS, "post_v1.users.logout.json", 204, |_| Ok(())),
    sample(ACCOUNTS, "get_.well-known.jwks.json.json", 200, |a| has(a, &["/keys/0/kid", "/keys/0/x"])),
    sample(ACCOUNTS, "get_v1.admin.signing-keys.json", 200, |a| has(a, &["/keys/0/kid", "/keys/0/state"])),
    sample(ACCOUNTS, "post_v1.admin.signing-keys.rotate.json", 200, |a| has(a, &["/keys/1/kid"])),
    // There is no such code.
    sample(ACCOUNTS, "post_v1.users.register.json", 403, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.users.password-reset.json", 403, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.users.me.invites.accept.json", 403, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "get_v1.users.erasures.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.users.json", 201, |a| has(a, &["/id", "/memberships/0/role"])),
    sample(ACCOUNTS, "get_v1.users.me.json", 200, |a| has(a, &["/id", "/name", "/memberships"])),
    sample(ACCOUNTS, "patch_v1.users.me.json", 200, |a| has(a, &["/preferences/models/text"])),
    // The operator has one.
    sample(ACCOUNTS, "post_v1.users.me.sign-in.json", 409, |a| has(a, &["/error/code"])),
    // It isn't the present password.
    sample(ACCOUNTS, "post_v1.users.me.password.json", 403, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.users.me.consents.json", 201, |a| has(a, &["/document", "/given_at"])),
    sample(ACCOUNTS, "get_v1.users.me.consents.json", 200, |a| has(a, &["/consents/0/version"])),
    sample(ACCOUNTS, "post_v1.users.invites.json", 201, |a| has(a, &["/code", "/id", "/expires_at"])),
    sample(ACCOUNTS, "get_v1.users.invites.json", 200, |a| has(a, &["/invites/0/id"])),
    sample(ACCOUNTS, "delete_v1.users.invites.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.users.id.password-reset.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "delete_v1.users.id.json", 404, |a| has(a, &["/error/code"])),
    // It is the operator.
    sample(ACCOUNTS, "delete_v1.users.me.json", 409, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.users.tokens.json", 201, |a| has(a, &["/token", "/id", "/prefix"])),
    sample(ACCOUNTS, "options_v1.users.tokens.json", 200, is_preflight),
    sample(ACCOUNTS, "get_v1.users.tokens.json", 200, |a| has(a, &["/tokens/0/id"])),
    sample(ACCOUNTS, "patch_v1.users.tokens.id.json", 200, |a| has(a, &["/id", "/name"])),
    sample(ACCOUNTS, "post_v1.users.tokens.id.rotate.json", 200, |a| {
        has(a, &["/token", "/id", "/rotated_at"])
    }),
    sample(ACCOUNTS, "delete_v1.users.tokens.id.json", 204, |_| Ok(())),
    sample(ACCOUNTS, "post_v1.users.access-keys.json", 201, |a| has(a, &["/key", "/id", "/models/0"])),
    sample(ACCOUNTS, "get_v1.users.access-keys.json", 200, |a| has(a, &["/access_keys/0/id"])),
    // There is no such access key.
    sample(ACCOUNTS, "delete_v1.users.access-keys.id.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "put_v1.limits.kind.id.json", 200, |a| {
        has(a, &["/kind", "/id", "/limits/requests_per_minute", "/budgets/0/dollars_spent"])
    }),
    sample(ACCOUNTS, "get_v1.limits.kind.id.json", 200, |a| has(a, &["/limits/dollars_per_month"])),
    sample(ACCOUNTS, "get_v1.limits.json", 200, |a| has(a, &["/data/0/kind"])),
    sample(ACCOUNTS, "delete_v1.limits.kind.id.json", 204, |_| Ok(())),
    sample(ACCOUNTS, "get_v1.usage.json", 200, |a| has(a, &["/data", "/total/cost"])),
    sample(ACCOUNTS, "post_v1.organisations.json", 201, |a| {
        has(a, &["/id", "/name", "/regions", "/created_at"])
    }),
    sample(ACCOUNTS, "get_v1.organisations.json", 200, |a| {
        has(a, &["/organisations/0/id", "/organisations/0/role"])
    }),
    sample(ACCOUNTS, "get_v1.organisations.id.json", 200, |a| has(a, &["/id", "/is_operator"])),
    sample(ACCOUNTS, "patch_v1.organisations.id.json", 200, |a| has(a, &["/id", "/name"])),
    sample(ACCOUNTS, "get_v1.organisations.id.members.json", 200, |a| {
        has(a, &["/members/0/user", "/members/0/role"])
    }),
    sample(ACCOUNTS, "get_v1.organisations.id.members.user.json", 200, |a| {
        has(a, &["/user", "/role", "/joined_at"])
    }),
    sample(ACCOUNTS, "patch_v1.organisations.id.members.user.json", 200, |a| has(a, &["/user", "/role"])),
    // The member is the last owner.
    sample(ACCOUNTS, "delete_v1.organisations.id.members.user.json", 409, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "get_v1.organisations.id.members.user.tokens.json", 200, |a| has(a, &["/tokens/0/id"])),
    sample(ACCOUNTS, "delete_v1.organisations.id.members.user.tokens.token.json", 404, |a| {
        has(a, &["/error/code"])
    }),
    sample(ACCOUNTS, "get_v1.organisations.id.members.user.access-keys.json", 200, |a| {
        has(a, &["/access_keys"])
    }),
    sample(ACCOUNTS, "delete_v1.organisations.id.members.user.access-keys.key.json", 404, |a| {
        has(a, &["/error/code"])
    }),
    sample(ACCOUNTS, "post_v1.organisations.id.leave.json", 409, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "post_v1.organisations.id.teams.json", 201, |a| has(a, &["/id", "/name"])),
    sample(ACCOUNTS, "get_v1.organisations.id.teams.json", 200, |a| has(a, &["/teams/0/id"])),
    // There is no such team.
    sample(ACCOUNTS, "get_v1.organisations.id.teams.team.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "patch_v1.organisations.id.teams.team.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "delete_v1.organisations.id.teams.team.json", 404, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "put_v1.organisations.id.teams.team.members.user.json", 404, |a| {
        has(a, &["/error/code"])
    }),
    sample(ACCOUNTS, "delete_v1.organisations.id.teams.team.members.user.json", 404, |a| {
        has(a, &["/error/code"])
    }),
    // It is the operator's organisation.
    sample(ACCOUNTS, "delete_v1.organisations.id.json", 409, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "get_v1.admin.organisations.json", 200, |a| {
        has(a, &["/organisations/0/id", "/organisations/0/owners"])
    }),
    sample(ACCOUNTS, "get_v1.admin.organisations.id.json", 200, |a| has(a, &["/id", "/owners"])),
    sample(ACCOUNTS, "patch_v1.admin.organisations.id.json", 200, |a| has(a, &["/id", "/name"])),
    sample(ACCOUNTS, "put_v1.admin.organisations.id.members.user.json", 200, |a| has(a, &["/user", "/role"])),
    sample(ACCOUNTS, "delete_v1.admin.organisations.id.members.user.json", 409, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "delete_v1.admin.organisations.id.json", 409, |a| has(a, &["/error/code"])),
    sample(ACCOUNTS, "get_v1.admin.users.json", 200, |a| has(a, &["/users/0/id", "/users/0/name"])),
    sample(ACCOUNTS, "get_v1.admin.users.id.json", 200, |a| has(a, &["/id", "/organisations/0/role"])),
    sample(ACCOUNTS, "patch_v1.admin.users.id.json", 200, |a| has(a, &["/id", "/name"])),
    sample(ACCOUNTS, "get_v1.admin.tokens.json", 200, |a| has(a, &["/tokens/0/id", "/tokens/0/owner"])),
    sample(ACCOUNTS, "delete_v1.admin.users.id.tokens.token.json", 204, |_| Ok(())),
    sample(ACCOUNTS, "get_v1.audit.json", 200, |a| {
        has(a, &["/entries/0/chain/hash", "/entries/0/operation"])
    }),
    sample(ACCOUNTS, "get_v1.audit.verify.json", 200, |a| has(a, &["/intact", "/records", "/chains"])),
    sample(OPS, "get_health.json", 200, |a| has(a, &["/status"])),
    sample(OPS, "head_health.json", 200, is_empty),
    sample(OPS, "get_version.json", 200, |a| has(a, &["/version"])),
    sample(OPS, "get_ready.json", 200, |a| has(a, &["/status"])),
    sample(OPS, "get_metrics.json", 200, |a| text_has(a, "# TYPE hearth_")),
    sample(OPS, "get_openapi.json.json", 200, |a| has(a, &["/openapi", "/paths/~1v1~1generate"])),
    sample(OPS, "get_docs.json", 200, |a| text_has(a, "<html")),
    sample(OPS, "get_docs.file.json", 200, |a| text_has(a, ".swagger-ui")),
];
