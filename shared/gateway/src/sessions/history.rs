//! The messages of a branch as a model gets them.

use std::collections::HashSet;

use hearth_domain::{
    Artifact, ArtifactId, Image, Message, Modality, PlacedImage, Role, SessionMessage, SessionMessageId,
    SessionMessageState,
};
use hearth_wire::openai::responses::{CONVERSATION, ItemLayout, name_stored_parts, sent_answer};
use serde::Deserialize as _;
use serde_json::Value;

/// The messages of a path that have content, oldest first. The state of an answer that broke off doesn't matter: its text is
/// what the user has seen.
pub(super) fn with_content(path: &[SessionMessage]) -> Vec<&SessionMessage> {
    path.iter().filter(|message| message.deleted_at.is_none() && has_content(message)).collect()
}

fn has_content(stored: &SessionMessage) -> bool {
    let Message { role, content, tool_calls, .. } = &stored.message;
    let is_answer = *role == Role::Assistant;
    let is_empty = content.is_empty()
        && stored.message.is_text_only()
        && tool_calls.is_empty()
        && stored.artifacts.is_empty();
    !(is_answer && (is_empty || stored.state == SessionMessageState::Pending))
}

/// A message of a prompt, with the id of the stored one.
pub(super) type HistoryMessage = (SessionMessageId, Message);

/// The messages of a text prompt. Pictures that runs have made are images of the next user's message if they are among the
/// `readable` ones, and words otherwise; so are those that the user has sent, unless the model `sees` pictures.
pub(super) fn text_messages(
    path: &[SessionMessage],
    sees: bool,
    readable: &HashSet<ArtifactId>,
) -> Vec<HistoryMessage> {
    let mut messages: Vec<HistoryMessage> = Vec::new();
    let mut pictures: Vec<Image> = Vec::new();
    for stored in with_content(path) {
        let mut message = sent_message(stored);
        if message.role == Role::Assistant && !stored.artifacts.is_empty() {
            message.content = described(&message.content, &stored.artifacts);
            pictures.extend(pictures_among(&stored.artifacts, readable));
        }
        if !sees && !message.images.is_empty() {
            message.images.clear();
            message.content = joined(&message.content, "(a picture)");
        }
        if message.role == Role::User {
            add_images(&mut message, std::mem::take(&mut pictures));
        }
        match messages.last_mut() {
            // The answer between them is missing; many chat templates refuse two messages of a user in a row.
            Some((id, last)) if is_plain_user(last) && is_plain_user(&message) => {
                last.content = joined(&last.content, &message.content);
                *id = stored.id;
            }
            _ => messages.push((stored.id, message)),
        }
    }
    for (_, message) in &mut messages {
        name_stored_parts(std::slice::from_mut(message), CONVERSATION);
    }
    messages
}

/// The message as a next request has it.
pub(super) fn sent_message(stored: &SessionMessage) -> Message {
    match &stored.layout {
        Value::Null => stored.message.clone(),
        layout => sent_answer(stored.message.clone(), &ItemLayout::deserialize(layout).unwrap_or_default()),
    }
}

/// The pictures after the last message of a user: those that belong to the next one.
pub(super) fn pictures_for_next(path: &[SessionMessage], readable: &HashSet<ArtifactId>) -> Vec<Image> {
    let stored = with_content(path);
    let first =
        stored.iter().rposition(|stored| stored.message.role == Role::User).map_or(0, |last| last + 1);
    stored[first..].iter().flat_map(|stored| pictures_among(&stored.artifacts, readable)).collect()
}

/// Puts images before the text of a message.
pub(super) fn add_images(message: &mut Message, images: Vec<Image>) {
    let placed = images.into_iter().map(|image| PlacedImage { at: 0, image });
    message.images.splice(0..0, placed);
}

/// The file or the picture that a picture or a mesh is made of next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LatestOutput {
    /// Pictures of one message.
    Pictures(Vec<Image>),
    /// A mesh that a run has made.
    Mesh(ArtifactId),
}

/// The pictures or the mesh of the latest message that has any that are `readable`.
pub(super) fn latest_output(path: &[SessionMessage], readable: &HashSet<ArtifactId>) -> Option<LatestOutput> {
    with_content(path).into_iter().rev().find_map(|stored| {
        let is_mesh =
            |artifact: &&Artifact| artifact.modality() == Modality::ThreeD && readable.contains(&artifact.id);
        if let Some(mesh) = stored.artifacts.iter().find(is_mesh) {
            return Some(LatestOutput::Mesh(mesh.id));
        }
        let pictures_of_run: Vec<_> = pictures_among(&stored.artifacts, readable).collect();
        let sent = stored.message.images.iter().map(|placed| placed.image.clone());
        let pictures: Vec<_> = if pictures_of_run.is_empty() { sent.collect() } else { pictures_of_run };
        (!pictures.is_empty()).then_some(LatestOutput::Pictures(pictures))
    })
}

/// The pictures among artifacts, each as an image with the artifact's id, in place of which the gateway puts the bytes.
fn pictures_among(artifacts: &[Artifact], readable: &HashSet<ArtifactId>) -> impl Iterator<Item = Image> {
    let is_picture =
        |artifact: &&Artifact| artifact.modality() == Modality::Image && readable.contains(&artifact.id);
    artifacts.iter().filter(is_picture).map(|artifact| Image::at(artifact.id.to_string()))
}

fn described(text: &str, artifacts: &[Artifact]) -> String {
    let words = artifacts.iter().map(|artifact| {
        let kind = if artifact.modality() == Modality::ThreeD { "a 3D model" } else { "a picture" };
        match &artifact.revised_prompt {
            Some(prompt) => format!("({kind}: {prompt})"),
            None => format!("({kind})"),
        }
    });
    joined(text, &words.collect::<Vec<_>>().join(" "))
}

fn joined(first: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second.to_owned(),
        (_, true) => first.to_owned(),
        _ => format!("{first}\n\n{second}"),
    }
}

fn is_plain_user(message: &Message) -> bool {
    message.role == Role::User && message.is_text_only() && message.name.is_none() && message.extra.is_empty()
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Attachment, AttachmentContent, Timestamp};

    use super::*;

    fn stored(role: Role, text: &str) -> SessionMessage {
        SessionMessage::new(Message::new(role, text))
    }

    fn artifact(media_type: &str) -> Artifact {
        Artifact {
            id: ArtifactId::new(),
            media_type: media_type.to_owned(),
            size_bytes: 1,
            sha256: String::new(),
            revised_prompt: Some("a red cat".to_owned()),
            expires_at: Timestamp::from_unix(0),
            link: String::new(),
        }
    }

    fn with_artifact(artifact: &Artifact) -> SessionMessage {
        SessionMessage { artifacts: vec![artifact.clone()], ..stored(Role::Assistant, "") }
    }

    #[test]
    fn picture_is_an_image_for_a_model_that_sees_and_words_for_others() {
        let picture = artifact("image/png");
        let path = [stored(Role::User, "draw"), with_artifact(&picture), stored(Role::User, "what is it?")];
        let (all, none) = (HashSet::from([picture.id]), HashSet::new());
        let seen = text_messages(&path, true, &all);
        assert_eq!(seen[2].1.images[0].image, Image::at(picture.id.to_string()));
        let words = text_messages(&path, false, &none);
        assert_eq!((words[1].1.content.as_str(), words[2].1.images.len()), ("(a picture: a red cat)", 0));
        assert_eq!(pictures_for_next(&path[..2], &all), [Image::at(picture.id.to_string())]);
        assert_eq!(pictures_for_next(&path, &all), []);
    }

    #[test]
    fn latest_output_is_that_of_the_latest_message_with_a_readable_one() {
        let (picture, mesh) = (artifact("image/png"), artifact("model/gltf-binary"));
        let path = [with_artifact(&picture), with_artifact(&mesh), stored(Role::Assistant, "text")];
        let all = HashSet::from([picture.id, mesh.id]);
        assert_eq!(latest_output(&path, &all), Some(LatestOutput::Mesh(mesh.id)));
        let pictures = Some(LatestOutput::Pictures(vec![Image::at(picture.id.to_string())]));
        assert_eq!(latest_output(&path, &HashSet::from([picture.id])), pictures);
        assert_eq!(latest_output(&path[2..], &all), None);
    }

    #[test]
    fn missing_answers_leave_no_gap_and_deleted_messages_are_skipped() {
        let failed = SessionMessage { state: SessionMessageState::Failed, ..stored(Role::Assistant, "") };
        let deleted =
            SessionMessage { deleted_at: Some(Timestamp::from_unix(1)), ..stored(Role::User, "no") };
        let path = [stored(Role::User, "one"), failed, deleted, stored(Role::User, "two")];
        let messages = text_messages(&path, false, &HashSet::new());
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].1.content, "one\n\ntwo");
        let broken =
            SessionMessage { state: SessionMessageState::Interrupted, ..stored(Role::Assistant, "so far") };
        assert_eq!(text_messages(&[stored(Role::User, "one"), broken], false, &HashSet::new()).len(), 2);
        let place = Attachment { at: 0, images_before: 0, content: AttachmentContent::Reasoning };
        let only_place = Message { attachments: vec![place], ..Message::new(Role::Assistant, "") };
        assert_eq!(with_content(&[SessionMessage::new(only_place)]).len(), 0);
    }
}
