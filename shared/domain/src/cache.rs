//! Cache control of a request, and the requests whose answers are cached.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Generation, Task};

/// Cache control of a request. The words are those of HTTP requests (RFC 9111, section 5.2.1), and `use`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CacheControl {
    /// Reads and stores an answer if the model would repeat it for the same request.
    #[default]
    Auto,
    /// Reads and stores an answer even if the model might give a different one.
    Use,
    /// Asks the model, and replaces the cached answer.
    NoCache,
    /// Asks the model, and stores nothing.
    NoStore,
    /// Returns a cached answer, or an error.
    OnlyIfCached,
}

impl CacheControl {
    /// Every word that a client can send.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("use", Self::Use),
        ("no-cache", Self::NoCache),
        ("no-store", Self::NoStore),
        ("only-if-cached", Self::OnlyIfCached),
    ];

    /// Returns whether a cached answer may be served.
    #[must_use]
    pub fn reads(self, generation: &Generation) -> bool {
        match self {
            Self::Auto => is_repeatable(generation),
            Self::Use => !makes_files(generation),
            Self::OnlyIfCached => true,
            Self::NoCache | Self::NoStore => false,
        }
    }

    /// Returns whether the model's answer may be stored.
    #[must_use]
    pub fn keeps(self, generation: &Generation) -> bool {
        match self {
            Self::Auto | Self::NoCache => is_repeatable(generation),
            Self::Use => !makes_files(generation),
            Self::NoStore | Self::OnlyIfCached => false,
        }
    }
}

/// Returns whether the model repeats its answer: at temperature 0, or for embeddings. Without a temperature the model
/// decides, and most answers vary.
fn is_repeatable(generation: &Generation) -> bool {
    match &generation.task {
        Task::Text(task) => task.sampling.temperature == Some(0.0),
        Task::Embedding(_) => true,
        Task::Image(_) | Task::Mesh(_) => false,
    }
}

/// Returns whether the task makes files. They are artifacts of their run, so a cached answer would lose them with it.
fn makes_files(generation: &Generation) -> bool {
    matches!(generation.task, Task::Image(_) | Task::Mesh(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmbeddingTask, Message, Role, Sampling, TextTask};

    #[test]
    fn auto_caches_repeatable_answers_alone() {
        let text = |temperature| {
            let sampling = Sampling { temperature, ..Sampling::default() };
            Generation::new(None, TextTask::new(vec![Message::new(Role::User, "Hi")], sampling))
        };
        let vectors = Generation::new(None, EmbeddingTask { inputs: Vec::new(), dimensions: None });
        let (varied, unsaid, greedy) = (text(Some(0.7)), text(None), text(Some(0.0)));
        // Each control, and what it does for an answer that varies, and for one that doesn't.
        for (control, reads, keeps) in [
            (CacheControl::Auto, (false, true), (false, true)),
            (CacheControl::Use, (true, true), (true, true)),
            (CacheControl::NoCache, (false, false), (false, true)),
            (CacheControl::NoStore, (false, false), (false, false)),
            (CacheControl::OnlyIfCached, (true, true), (false, false)),
        ] {
            for (generation, repeatable) in
                [(&varied, false), (&unsaid, false), (&greedy, true), (&vectors, true)]
            {
                let of = |pair: (bool, bool)| if repeatable { pair.1 } else { pair.0 };
                assert_eq!(control.reads(generation), of(reads), "{control:?}");
                assert_eq!(control.keeps(generation), of(keeps), "{control:?}");
            }
        }
    }

    #[test]
    fn words_are_the_json_names() {
        for (word, control) in CacheControl::WORDS {
            assert_eq!(serde_json::to_value(control).unwrap(), word);
        }
    }
}
