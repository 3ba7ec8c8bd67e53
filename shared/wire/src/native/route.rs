//! `GET /v1/route`: who would serve a request.

use hearth_domain::{
    EmbeddingInput, EmbeddingTask, Generation, Image, ImageTask, Intent, Mesh, MeshTask, Message, Modality,
    ModelId, PlacedImage, Price, ResponseFormat, Role, Route, Sampling, SelectionMode, Task, TextTask, Tool,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::ApiError;

/// The request that is thought of.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RouteQuery {
    /// A model's id, `PROVIDER:MODEL`, an alias, or `auto`.
    pub model: Option<String>,
    /// The provider that must serve it.
    pub provider: Option<String>,
    /// A model that its user likes best.
    pub preferred_model: Option<String>,
    /// What is to be made: `text`, `image`, `3d` or `embedding`. Absent: text, or what the prompt plainly asks for.
    #[param(value_type = Option<String>)]
    pub modality: Option<Modality>,
    /// `auto`, `free_only`, `commercial_only` or `model`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub selection_mode: SelectionMode,
    /// What is asked: rules look at its words, and its length must fit the context.
    #[serde(default)]
    pub prompt: String,
    /// Whether it shows an image.
    #[serde(default)]
    pub images: bool,
    /// Whether it gives a mesh.
    #[serde(default)]
    pub mesh: bool,
    /// Whether it offers tools.
    #[serde(default)]
    pub tools: bool,
    /// Whether the answer must fit a JSON Schema.
    #[serde(default)]
    pub schema: bool,
    /// Tokens that the answer may have: costs are compared by it.
    pub max_tokens: Option<u32>,
}

impl RouteQuery {
    /// A request such as this.
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

/// Who would serve a request, in the order in which they would be asked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RouteBody {
    /// What would be made.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// The first choice, and who is asked if it fails.
    pub candidates: Vec<RouteCandidate>,
    /// Who was looked at, and is asked last or not at all.
    pub passed_over: Vec<RoutePassedOver>,
}

/// Who would serve a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RouteCandidate {
    /// The model.
    pub model: String,
    /// The provider, or the node, that has it.
    pub provider: String,
    /// Why it is chosen.
    pub reason: String,
    /// Why it isn't the first choice, if what was asked for can't be had.
    pub fallback_reason: Option<String>,
    /// The tokens that prompt and completion may have together, if that is known.
    pub context_length: Option<u32>,
    /// US dollars for a million tokens, if they are known.
    #[schema(value_type = Option<Object>, example = json!({"input": 1.25, "output": 10.0}))]
    pub price: Option<Price>,
}

/// Who was looked at and isn't the choice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoutePassedOver {
    /// The provider, or the node; empty if nobody has the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Why.
    pub why: String,
}
