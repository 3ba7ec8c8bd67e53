//! `GET /v1/route`: dry run of the routing.

use hearth_domain::{
    EmbeddingInput, EmbeddingTask, Generation, Image, ImageTask, Intent, Mesh, MeshTask, Message, Modality,
    ModelId, PlacedImage, Price, ResponseFormat, Role, Route, Sampling, SelectionMode, Task, TextTask, Tool,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::ApiError;

/// Hypothetical request.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RouteQuery {
    /// Model id, `PROVIDER:MODEL`, an alias, or `auto`.
    pub model: Option<String>,
    /// Provider that must serve the request.
    pub provider: Option<String>,
    /// Model that the user prefers.
    pub preferred_model: Option<String>,
    /// Modality: `text`, `image`, `3d` or `embedding`. Absent: text, or the modality that the prompt plainly asks
    /// for.
    #[param(inline)]
    pub modality: Option<Modality>,
    /// `auto`, `free_only`, `commercial_only` or `model`.
    #[serde(default)]
    #[param(inline)]
    pub selection_mode: SelectionMode,
    /// Prompt: rules match its words, and its length must fit the context.
    #[serde(default)]
    pub prompt: String,
    /// True if the request has an image.
    #[serde(default)]
    pub images: bool,
    /// True if the request has a mesh.
    #[serde(default)]
    pub mesh: bool,
    /// True if the request has tools.
    #[serde(default)]
    pub tools: bool,
    /// True if the answer must match a JSON Schema.
    #[serde(default)]
    pub schema: bool,
    /// Maximum tokens of the answer, for the comparison of costs.
    pub max_tokens: Option<u32>,
}

impl RouteQuery {
    /// Creates a request with these properties.
    ///
    /// # Errors
    /// `invalid_request` for what isn't served.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        let unnamed = self.model.as_deref().is_none_or(|model| model == "auto");
        let plain = !self.tools && !self.schema && self.max_tokens.is_none();
        let is_open = unnamed && plain && !self.mesh && self.modality.is_none();
        let usual = if self.mesh { Modality::ThreeD } else { Modality::Text };
        let shown = self.images.then(|| Image::at("data:image/png;base64,"));
        let task = match self.modality.unwrap_or(usual) {
            Modality::Text => self.text(shown),
            Modality::Embedding => {
                EmbeddingTask { inputs: vec![EmbeddingInput::Text(self.prompt)], dimensions: None }.into()
            }
            Modality::Image => {
                ImageTask { images: shown.into_iter().collect(), ..ImageTask::new(self.prompt) }.into()
            }
            Modality::ThreeD => {
                let prompt = Some(self.prompt).filter(|prompt| !prompt.is_empty());
                let mesh = self.mesh.then(|| Mesh::Data(String::new()));
                MeshTask { prompt, image: shown, mesh, ..MeshTask::default() }.into()
            }
        };
        let route = Route {
            provider: self.provider,
            mode: self.selection_mode,
            preferred: self.preferred_model,
            ..Route::default()
        };
        let intent = if is_open { Intent::Open } else { Intent::Settled };
        Ok(Generation { route, intent, ..Generation::new(self.model.map(ModelId::new), task) })
    }

    fn text(&self, shown: Option<Image>) -> Task {
        let mut message = Message::new(Role::User, self.prompt.clone());
        message.images.extend(shown.map(|image| PlacedImage { at: 0, image }));
        let sampling = Sampling { max_tokens: self.max_tokens, ..Sampling::default() };
        let mut task = TextTask::new(vec![message], sampling);
        if self.tools {
            let parameters = json!({"type": "object"});
            task.tools.push(Tool { name: "tool".to_owned(), description: None, parameters, strict: false });
        }
        if self.schema {
            task.response_format = ResponseFormat::JsonSchema(json!({"type": "object"}));
        }
        task.into()
    }
}

/// Candidates for a request, in the order in which they would be asked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RouteBody {
    /// Modality of the output.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// First choice, and the candidates to try if it fails.
    pub candidates: Vec<RouteCandidate>,
    /// Models that were considered, and are asked last or not at all.
    pub passed_over: Vec<RoutePassedOver>,
}

/// Candidate for a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RouteCandidate {
    /// Model.
    pub model: String,
    /// Provider, or node, of the model.
    pub provider: String,
    /// Reason of the choice.
    pub reason: String,
    /// Reason of the fallback, if the first choice isn't available.
    pub fallback_reason: Option<String>,
    /// Node of a local model, and the reasons for its place among the nodes that have the model.
    #[serde(default)]
    pub placement: Option<String>,
    /// Maximum tokens of prompt and completion together, if known.
    pub context_length: Option<u32>,
    /// Price in US dollars for a million tokens, if known.
    #[schema(value_type = Option<Object>, example = json!({"input": 1.25, "output": 10.0}))]
    pub price: Option<Price>,
}

/// Model that was considered and isn't the choice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoutePassedOver {
    /// Provider, or node; empty if there is none with the model.
    pub provider: String,
    /// Model.
    pub model: String,
    /// Reason.
    pub why: String,
}
