//! Impossible cells of the table, each with its reason and the expected behaviour.

use super::{
    features::{AUTHOR, DOCUMENT, LINK, MARK, REFUSAL, SCHEMA_NAME, SEALS, SEED, STOP, THOUGHTS, UNKNOWN},
    neutral::{Answer, End, Request, Turn},
};

/// Feature name of a hole in every feature.
pub(super) const ANY: &str = "tokens counted apart";

/// Impossible cells.
pub(super) struct Hole {
    pub(super) feature: &'static str,
    /// Tells by the names of client and vendor whether the cell is in the hole.
    pub(super) at: fn(&str, &str) -> bool,
    /// Description of the columns.
    pub(super) who: &'static str,
    pub(super) why: &'static str,
    pub(super) instead: Instead,
}

/// Expected behaviour.
pub(super) enum Instead {
    /// The request is refused with the name of the field, and the vendor gets none.
    Refused,
    /// The request to the vendor lacks a part.
    Omitted(fn(&mut Request)),
    /// The response to the client lacks a part.
    NotReported(fn(&mut Answer)),
}

use Instead::{NotReported, Omitted, Refused};

pub(super) const ALL: [Hole; 18] = [
    Hole {
        feature: LINK,
        at: |client, vendor| vendor == "bedrock" && client != "ollama",
        who: "over Bedrock",
        why: "Bedrock fetches no images, and the gateway doesn't fetch them for it",
        instead: Refused,
    },
    Hole {
        feature: LINK,
        at: |client, _| client == "ollama",
        who: "from `/api/chat`",
        why: "Ollama's images are files in base64",
        instead: Refused,
    },
    Hole {
        feature: DOCUMENT,
        at: |client, _| client == "ollama",
        who: "from `/api/chat`",
        why: "Ollama has only images",
        instead: Refused,
    },
    Hole {
        feature: STOP,
        at: |_, vendor| vendor == "responses",
        who: "over the responses API",
        why: "the responses API has no stop texts: the gateway ends the answer before one",
        instead: Omitted(|request| request.stop.clear()),
    },
    Hole {
        feature: STOP,
        at: |client, vendor| vendor == "gemini" && client == "messages",
        who: "over Gemini",
        why: "Gemini doesn't report the stop text that ended an answer",
        instead: NotReported(only_ends),
    },
    Hole {
        feature: STOP,
        at: |client, _| client != "messages",
        who: "to all but `/v1/messages`",
        why: "the other dialects have no field for the stop text that ended an answer",
        instead: NotReported(only_ends),
    },
    Hole {
        feature: SCHEMA_NAME,
        at: |client, vendor| {
            ["messages", "ollama", "gemini"].contains(&client) || ["anthropic", "gemini"].contains(&vendor)
        },
        who: "from `/v1/messages`, `/api/chat` and `:generateContent`; over Anthropic and Gemini",
        why: "they have no field for it, and it is only a label",
        instead: Omitted(|request| request.schema_name = None),
    },
    Hole {
        feature: AUTHOR,
        at: |client, vendor| !["native", "chat"].contains(&client) || vendor != "chat",
        who: "from `/v1/messages`, `/v1/responses`, `/api/chat` and `:generateContent`; over the responses API, Anthropic, Gemini and Bedrock",
        why: "they have no field for it",
        instead: Omitted(|request| request.author = None),
    },
    Hole {
        feature: MARK,
        at: |client, vendor| {
            client == "gemini" || !is_same(client, vendor) && (client, vendor) != ("chat", "anthropic")
        },
        who: "from `:generateContent`; between different dialects, except from chats over Anthropic and from `/v1/messages` over OpenRouter",
        why: "it saves work, and changes no answer",
        instead: Omitted(|request| request.mark = false),
    },
    Hole {
        feature: SEED,
        at: |_, vendor| ["responses", "anthropic", "bedrock"].contains(&vendor),
        who: "over the responses API, Anthropic and Bedrock",
        why: "they have no seed; the request is served without it",
        instead: Omitted(|request| request.seed = None),
    },
    Hole {
        feature: THOUGHTS,
        at: |_, vendor| vendor == "bedrock",
        who: "over Bedrock",
        why: "Bedrock doesn't count the tokens of thoughts separately",
        instead: NotReported(|answer| answer.usage.thoughts = 0),
    },
    Hole {
        feature: SEALS,
        at: |_, vendor| vendor == "bedrock",
        who: "over Bedrock",
        why: "Bedrock doesn't count the tokens of thoughts separately",
        instead: NotReported(|answer| answer.usage.thoughts = 0),
    },
    Hole {
        feature: SEALS,
        at: |_, vendor| vendor == "chat",
        who: "over chat completions",
        why: "thoughts in chat completions have no signatures",
        instead: Omitted(|request| {
            thoughts(request, |all| all.iter_mut().for_each(|(_, seal)| seal.clear()))
        }),
    },
    Hole {
        feature: SEALS,
        at: |_, vendor| vendor == "gemini",
        who: "over Gemini",
        why: "Gemini signs the call, and doesn't need the text of thoughts without a signature",
        instead: Omitted(|request| {
            thoughts(request, |all| all.iter_mut().for_each(|(text, _)| text.clear()))
        }),
    },
    Hole {
        feature: REFUSAL,
        at: |client, vendor| {
            ["native", "messages", "ollama", "gemini"].contains(&client)
                || ["anthropic", "gemini", "bedrock"].contains(&vendor)
        },
        who: "over Anthropic, Gemini and Bedrock; to `/v1/generate`, `/v1/messages`, `/api/chat` and `:generateContent`",
        why: "a refusal is a text with a finish reason there, without a field of its own",
        instead: NotReported(|answer| answer.text = std::mem::take(&mut answer.refusal)),
    },
    Hole {
        feature: UNKNOWN,
        at: |client, _| client == "native",
        who: "from `/v1/generate`",
        why: "the native dialect is no vendor's: an unknown field is an error",
        instead: Refused,
    },
    Hole {
        feature: UNKNOWN,
        at: |client, vendor| client != "native" && !is_same(client, vendor),
        who: "between different dialects",
        why: "its meaning is only defined in its own dialect",
        instead: Omitted(|request| request.unknown = false),
    },
    // The last one: others tell less of the same.
    Hole {
        feature: ANY,
        at: |client, _| client == "ollama",
        who: "to `/api/chat`",
        why: "Ollama only counts the tokens of the prompt and of the answer",
        instead: NotReported(|answer| (answer.usage.cached, answer.usage.thoughts) = (0, 0)),
    },
];

/// Returns whether a client and a vendor have the same dialect.
fn is_same(client: &str, vendor: &str) -> bool {
    [("chat", "chat"), ("messages", "anthropic"), ("responses", "responses"), ("gemini", "gemini")]
        .contains(&(client, vendor))
}

fn only_ends(answer: &mut Answer) {
    answer.end = End::Turn;
}

fn thoughts(request: &mut Request, change: fn(&mut Vec<(String, String)>)) {
    for turn in &mut request.turns {
        if let Turn::Assistant { thoughts, .. } = turn {
            change(thoughts);
        }
    }
}
