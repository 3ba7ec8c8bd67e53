//! What a prompt asks for where a request leaves it open: an operator's rule, or plain words, make a picture or a
//! mesh of what would have been answered in text.
//!
//! That is settled before anybody is chosen, and only if there is somebody who makes it: else it stays text.

use std::sync::Arc;

use hearth_domain::{
    Generation, ImageTask, Intent, MeshTask, Modality, Task, TextTask, intent::asked_for, modality_of,
};
use hearth_providers::{config::LOCAL, vendor};

use super::{AUTO, Candidate, choose::Chooser, needs::Needs, rules};
use crate::{Caller, Gateway, providers::Known, routing::Rule};

impl Gateway {
    /// The request, with the task that its prompt asks for. Only one that leaves open what to make is changed.
    pub(crate) async fn as_intended(&self, caller: &Caller, generation: Generation) -> Generation {
        if generation.intent != Intent::Open {
            return generation;
        }
        // Large, and most requests have no such words.
        Box::pin(self.intended(caller, &generation)).await.unwrap_or(generation)
    }

    async fn intended(&self, caller: &Caller, generation: &Generation) -> Option<Generation> {
        let Task::Text(task) = &generation.task else { return None };
        let selection = &self.0.directory.routing().selection;
        if generation.route.provider.is_none()
            && let Some((rule, Some(word))) =
                rules::first(&selection.rules, generation, &Needs::of(generation))
        {
            for modality in [Modality::Image, Modality::ThreeD] {
                let told = Intent::Told { words: word.to_owned(), model: Some(rule.model.clone()) };
                if let Some(made) = self.if_made(caller, generation, task, modality, told).await {
                    return Some(made);
                }
            }
            // Its operator's word goes before ours.
            return None;
        }
        let message = task.messages.last().filter(|_| selection.intent_words)?;
        let (modality, words) = asked_for(&message.content, !message.images.is_empty())?;
        let told = Intent::Told { words, model: None };
        self.if_made(caller, generation, task, modality, told).await
    }

    /// The same request for something else, if there is somebody who makes it.
    async fn if_made(
        &self,
        caller: &Caller,
        generation: &Generation,
        task: &TextTask,
        modality: Modality,
        intent: Intent,
    ) -> Option<Generation> {
        let task = turned(task, modality)?;
        let made = Generation { task, intent, ..generation.clone() };
        Chooser::new(self, caller, &made).await.has_somebody().await.then_some(made)
    }
}

/// A text's task for something else; none if it can't be one.
fn turned(task: &TextTask, modality: Modality) -> Option<Task> {
    let [message] = task.messages.as_slice() else { return None };
    let mut images: Vec<_> = message.images.iter().map(|placed| placed.image.clone()).collect();
    let (prompt, seed) = (message.content.clone(), task.sampling.seed);
    let task: Task = match modality {
        Modality::Image => ImageTask { images, count: task.choices, seed, ..ImageTask::new(prompt) }.into(),
        // What is shown says it all: who makes meshes of pictures takes no words.
        Modality::ThreeD if task.choices == 1 && images.len() <= 1 => {
            let image = images.pop();
            let prompt = image.is_none().then_some(prompt);
            MeshTask { prompt, image, seed, ..MeshTask::default() }.into()
        }
        _ => return None,
    };
    task.check().is_ok().then_some(task)
}

impl<'a> Chooser<'a> {
    /// The model that a rule sends the request to, and the word that it was found by.
    pub(super) fn ruled<'s>(&'s self, rules: &'a [Rule]) -> Option<(&'a str, Option<&'a str>)> {
        if let Intent::Told { words, model: Some(model) } = &self.generation.intent {
            return Some((model, Some(words)));
        }
        rules::first(rules, self.generation, &self.needs).map(|(rule, word)| (rule.model.as_str(), word))
    }

    /// The same candidates; if it was told by words what is to be made, their reasons say so.
    pub(super) fn told(&self, found: Vec<Candidate>) -> Vec<Candidate> {
        let Intent::Told { words, model: None } = &self.generation.intent else { return found };
        let what = if self.needs.modality == Modality::Image { "an image" } else { "a mesh" };
        let told = |one: Candidate| {
            let reason = format!("the prompt asks for {what} ({words:?}): {}", one.selected.reason);
            one.because(&reason)
        };
        found.into_iter().map(told).collect()
    }

    /// Whether there is somebody who makes what is asked for, among those who may be chosen. Nobody's turn is
    /// taken by it.
    async fn has_somebody(&mut self) -> bool {
        let routing = self.gateway.0.directory.routing();
        let route = &self.generation.route;
        let known = Arc::clone(&self.known);
        match route.provider.as_deref() {
            Some(LOCAL) => return self.has_local().await,
            Some(name) => return known.iter().any(|known| known.name() == name && self.has_one_of(known)),
            None => {}
        }
        if let Intent::Told { model: Some(model), .. } = &self.generation.intent {
            return self.has_named(model).await;
        }
        let ruled = self.ruled(&routing.selection.rules).map(|(model, _)| model.to_owned());
        let auto = routing.aliases.contains_key(AUTO).then(|| AUTO.to_owned());
        for name in [route.preferred.clone(), ruled, auto].into_iter().flatten() {
            if self.has_named(&name).await {
                return true;
            }
        }
        self.has_local().await || known.iter().any(|known| self.has_one_of(known))
    }

    async fn has_local(&mut self) -> bool {
        let found = self.local(None, false).await.unwrap_or_default();
        !self.fitting(found).is_empty()
    }

    /// Whether a provider has a model that may be chosen.
    fn has_one_of(&mut self, known: &Known) -> bool {
        let mut models = if known.is_usable() { self.models_of(known) } else { Vec::new() };
        models.retain(|model| self.may_make(known, model));
        models.iter().any(|model| {
            let found = self.of(known, model, "").unwrap_or_default();
            !self.fitting(found).is_empty()
        })
    }

    /// Whether the model of this name, or one that it stands for, makes it.
    async fn has_named(&mut self, name: &str) -> bool {
        let alias = self.gateway.0.directory.routing().aliases.get(name);
        let names = match alias {
            Some(alias) => alias.targets.iter().map(|target| target.model.clone()).collect(),
            None => vec![name.to_owned()],
        };
        for name in names {
            let found = self.exactly(&name).await.unwrap_or_default();
            if self.fitting(found).iter().any(|one| makes(one, self.needs.modality)) {
                return true;
            }
        }
        false
    }
}

/// Whether a candidate that lacks nothing is known to make such things: by what is known of it, or by its name.
fn makes(candidate: &Candidate, modality: Modality) -> bool {
    let vendor = vendor::of_kind(candidate.provider.kind());
    let may = vendor.is_none_or(|vendor| vendor.media.makes(modality));
    may && (candidate.facts.is_some() || modality_of(candidate.model.as_str()) == modality)
}
