//! Requirements of a request, as far as they are known before a model gets it.

use hearth_domain::{
    Capability, ClientDialect, Generation, Input, Modality, ModelInfo, ResponseFormat, Task,
};

/// Bytes of text for one token, at most nearly always. The estimate is therefore too low rather than too high, and rejects
/// no model that could take the request.
const BYTES_PER_TOKEN: usize = 6;

/// Requirements of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Modality of the output.
    pub(crate) modality: Modality,
    /// The input has text.
    pub(crate) words: bool,
    /// The input has images.
    pub(crate) images: bool,
    /// The input has a mesh.
    pub(crate) mesh: bool,
    /// The request offers tools.
    pub(crate) tools: bool,
    /// The request needs a tool that a provider of this dialect runs itself.
    pub(crate) hosted: Option<ClientDialect>,
    /// The output is JSON of a schema.
    pub(crate) schema: bool,
    /// Lower bound of the prompt's tokens.
    pub(crate) prompt_tokens: u32,
    /// Limit of the output's tokens, if the request has one.
    pub(crate) max_tokens: Option<u32>,
}

impl Needs {
    pub(crate) fn of(generation: &Generation) -> Self {
        let modality = generation.task.modality();
        let none = Self {
            modality,
            words: true,
            images: false,
            mesh: false,
            tools: false,
            hosted: generation.extra.hosted.needed.is_some().then_some(generation.extra.dialect),
            schema: false,
            prompt_tokens: 0,
            max_tokens: None,
        };
        match &generation.task {
            Task::Text(task) => Self {
                images: task.messages.iter().any(|message| !message.images.is_empty()),
                tools: !task.tools.is_empty(),
                schema: matches!(task.response_format, ResponseFormat::JsonSchema(_)),
                prompt_tokens: tokens(task.messages.iter().map(|message| message.content.len()).sum()),
                max_tokens: task.sampling.max_tokens,
                ..none
            },
            // An image to edit is an input.
            Task::Image(task) => Self { images: !task.images.is_empty(), ..none },
            Task::Mesh(task) => {
                let words = task.prompt.as_ref().is_some_and(|prompt| !prompt.trim().is_empty());
                Self { words, images: task.image.is_some(), mesh: task.mesh.is_some(), ..none }
            }
            Task::Embedding(_) => none,
        }
    }

    /// The first requirement that a model lacks, if any. Unknown metadata isn't a lack.
    pub(crate) fn missing_requirement(&self, info: &ModelInfo) -> Option<String> {
        if info.modality != self.modality {
            return Some(format!("it makes {}", info.modality.as_str()));
        }
        if self.words && !info.takes(Input::Text) {
            return Some("it takes no text".to_owned());
        }
        if self.images && !info.takes(Input::Image) && !info.can(Capability::Vision) {
            return Some("it takes no images".to_owned());
        }
        if self.mesh && !info.takes(Input::Mesh) {
            return Some("it takes no meshes".to_owned());
        }
        let lacks = |capability| !info.capabilities.is_empty() && !info.can(capability);
        if self.tools && lacks(Capability::Tools) {
            return Some("it calls no tools".to_owned());
        }
        if self.schema && lacks(Capability::JsonSchema) {
            return Some("it keeps to no JSON Schema".to_owned());
        }
        let context = info.context_length.filter(|context| self.prompt_tokens > *context);
        context.map(|context| {
            format!("the prompt has at least {} tokens, and its context {context}", self.prompt_tokens)
        })
    }
}

fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Image, ImageSource, MeshTask, Message, PlacedImage, Role, Sampling, TextTask};

    use super::*;

    fn needs(change: impl FnOnce(&mut TextTask)) -> Needs {
        let mut task = TextTask::new(vec![Message::new(Role::User, "hello")], Sampling::default());
        change(&mut task);
        Needs::of(&Generation::new(None, task))
    }

    fn info(change: impl FnOnce(&mut ModelInfo)) -> ModelInfo {
        let mut info = ModelInfo { capabilities: vec![Capability::Chat], ..ModelInfo::default() };
        change(&mut info);
        info
    }

    #[test]
    fn missing_requirement_is_named() {
        let plain = info(|_| ());
        assert_eq!(needs(|_| ()).missing_requirement(&plain), None);
        let embeds = info(|info| info.modality = Modality::Embedding);
        assert_eq!(needs(|_| ()).missing_requirement(&embeds).as_deref(), Some("it makes embedding"));
        let tools = Needs { tools: true, ..needs(|_| ()) };
        assert_eq!(tools.missing_requirement(&plain).as_deref(), Some("it calls no tools"));
        assert_eq!(tools.missing_requirement(&info(|info| info.capabilities.push(Capability::Tools))), None);
        // Unknown capabilities.
        assert_eq!(tools.missing_requirement(&ModelInfo::default()), None);
        let long = needs(|task| task.messages[0].content = "word ".repeat(1200));
        assert_eq!(long.prompt_tokens, 1000);
        assert!(long.missing_requirement(&info(|info| info.context_length = Some(999))).is_some());
        assert_eq!(long.missing_requirement(&info(|info| info.context_length = Some(1000))), None);
    }

    #[test]
    fn mesh_of_words_needs_a_model_that_takes_text() {
        let mesh = |prompt: Option<&str>, image: Option<&str>| {
            let (prompt, image) = (prompt.map(str::to_owned), image.map(Image::at));
            Needs::of(&Generation::new(None, MeshTask { prompt, image, ..MeshTask::default() }))
        };
        let takes_images =
            ModelInfo { modality: Modality::ThreeD, inputs: vec![Input::Image], ..ModelInfo::default() };
        assert_eq!(
            mesh(Some("a chair"), None).missing_requirement(&takes_images).as_deref(),
            Some("it takes no text")
        );
        assert_eq!(mesh(None, Some("data:image/png;base64,AA")).missing_requirement(&takes_images), None);
        let another = Needs { mesh: true, words: false, ..mesh(None, None) };
        assert_eq!(another.missing_requirement(&takes_images).as_deref(), Some("it takes no meshes"));
        assert_eq!(
            another.missing_requirement(&ModelInfo { inputs: vec![Input::Mesh], ..takes_images.clone() }),
            None
        );
        let takes_text = ModelInfo { inputs: vec![Input::Text], ..takes_images };
        assert_eq!(mesh(Some("a chair"), None).missing_requirement(&takes_text), None);
    }

    #[test]
    fn images_need_a_model_that_takes_images() {
        let with_image = needs(|task| {
            let image = Image { source: ImageSource::Url("https://x/y.png".into()), detail: None };
            task.messages[0].images.push(PlacedImage { at: 0, image });
        });
        assert!(with_image.images);
        assert_eq!(with_image.missing_requirement(&info(|_| ())).as_deref(), Some("it takes no images"));
        assert_eq!(with_image.missing_requirement(&info(|info| info.inputs.push(Input::Image))), None);
    }
}
