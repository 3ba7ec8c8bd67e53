//! What a request wants of the cache of answers, and which answers may come from it.

use serde::{Deserialize, Serialize};

use crate::{Generation, Task};

/// What a request wants of the cache of answers. The words are those of HTTP's requests (RFC 9111,
/// section 5.2.1), and `use`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheControl {
    /// An answer may be kept, and come from it, if the model would give the same one again.
    #[default]
    Auto,
    /// It may, though the model might give another one.
    Use,
    /// The model is to answer; what it says takes the place of what is kept.
    NoCache,
    /// The model is to answer, and the answer isn't kept.
    NoStore,
    /// A kept answer, or none.
    OnlyIfCached,
}

impl CacheControl {
    /// Every word that a client can write.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("use", Self::Use),
        ("no-cache", Self::NoCache),
        ("no-store", Self::NoStore),
        ("only-if-cached", Self::OnlyIfCached),
    ];

    /// Whether a kept answer may be given.
    #[must_use]
    pub fn reads(self, generation: &Generation) -> bool {
        match self {
            Self::Auto => is_repeatable(generation),
            Self::Use => !makes_files(generation),
            Self::OnlyIfCached => true,
            Self::NoCache | Self::NoStore => false,
        }
    }

    /// Whether the model's answer may be kept.
    #[must_use]
    pub fn keeps(self, generation: &Generation) -> bool {
        match self {
            Self::Auto | Self::NoCache => is_repeatable(generation),
            Self::Use => !makes_files(generation),
            Self::NoStore | Self::OnlyIfCached => false,
        }
    }
}

/// Whether a model gives the same answer again: it always takes the likeliest token, or makes vectors. Without
/// a temperature it is for the model to say, and most vary.
fn is_repeatable(generation: &Generation) -> bool {
    match &generation.task {
        Task::Text(task) => task.sampling.temperature == Some(0.0),
        Task::Embedding(_) => true,
        Task::Image(_) | Task::Mesh(_) => false,
    }
}

/// Files are kept as artifacts of their own run, and an answer of another one would lose them with it.
fn makes_files(generation: &Generation) -> bool {
    matches!(generation.task, Task::Image(_) | Task::Mesh(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmbeddingTask, Message, Role, Sampling, TextTask};

    #[test]
    fn only_what_would_be_the_same_again_is_kept_unasked() {
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
    fn the_words_are_those_of_json() {
        for (word, control) in CacheControl::WORDS {
            assert_eq!(serde_json::to_value(control).unwrap(), word);
        }
    }
}
