//! The cells of the table that can't be, each with its reason, and with what happens instead.

use super::{
    features::{DOCUMENT, LINK, MARK, REFUSAL, SCHEMA_NAME, SEALS, SEED, STOP, THOUGHTS, UNKNOWN},
    words::{Answer, Asked, End, Turn},
};

/// A hole that every feature has.
pub(super) const ANY: &str = "tokens counted apart";

/// Cells that can't be.
pub(super) struct Hole {
    pub(super) feature: &'static str,
    /// In which columns: whether of this client and this vendor.
    pub(super) at: fn(&str, &str) -> bool,
    /// The same in words.
    pub(super) who: &'static str,
    pub(super) why: &'static str,
    pub(super) instead: Instead,
}

/// What happens instead.
pub(super) enum Instead {
    /// The request is refused with the name of the field, and the vendor isn't asked.
    Refused,
    /// The vendor is asked for less.
    Unasked(fn(&mut Asked)),
    /// The client is told less.
    Untold(fn(&mut Answer)),
}

use Instead::{Refused, Unasked, Untold};

pub(super) const ALL: [Hole; 17] = [
    Hole {
        feature: LINK,
        at: |client, vendor| vendor == "bedrock" && client != "ollama",
        who: "over Bedrock",
        why: "Bedrock fetches no images, and the gateway fetches none for it",
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
        why: "Ollama has images alone",
        instead: Refused,
    },
    Hole {
        feature: STOP,
        at: |_, vendor| vendor == "responses",
        who: "over the responses API",
        why: "the responses API knows no stop texts: the gateway ends the answer before one",
        instead: Unasked(|asked| asked.stop.clear()),
    },
    Hole {
        feature: STOP,
        at: |client, vendor| vendor == "gemini" && client == "messages",
        who: "over Gemini",
        why: "Gemini doesn't tell which stop text it met",
        instead: Untold(only_ends),
    },
    Hole {
        feature: STOP,
        at: |client, _| client != "messages",
        who: "to all but `/v1/messages`",
        why: "the other dialects don't tell which stop text was met",
        instead: Untold(only_ends),
    },
    Hole {
        feature: SCHEMA_NAME,
        at: |client, vendor| {
            ["messages", "ollama", "gemini"].contains(&client) || ["anthropic", "gemini"].contains(&vendor)
        },
        who: "from `/v1/messages`, `/api/chat` and `:generateContent`; over Anthropic and Gemini",
        why: "they have no word for it, and it is a label",
        instead: Unasked(|asked| asked.schema_name = None),
    },
    Hole {
        feature: MARK,
        at: |client, vendor| {
            client == "gemini" || !is_same(client, vendor) && (client, vendor) != ("chat", "anthropic")
        },
        who: "from `:generateContent`; between different dialects, but from chats over Anthropic and from `/v1/messages` over OpenRouter",
        why: "it saves work, and changes no answer",
        instead: Unasked(|asked| asked.mark = false),
    },
    Hole {
        feature: SEED,
        at: |_, vendor| ["responses", "anthropic", "bedrock"].contains(&vendor),
        who: "over the responses API, Anthropic and Bedrock",
        why: "they take no seed; the request is served without it",
        instead: Unasked(|asked| asked.seed = None),
    },
    Hole {
        feature: THOUGHTS,
        at: |_, vendor| vendor == "bedrock",
        who: "over Bedrock",
        why: "Bedrock doesn't count the tokens of thoughts apart",
        instead: Untold(|answer| answer.usage.thoughts = 0),
    },
    Hole {
        feature: SEALS,
        at: |_, vendor| vendor == "bedrock",
        who: "over Bedrock",
        why: "Bedrock doesn't count the tokens of thoughts apart",
        instead: Untold(|answer| answer.usage.thoughts = 0),
    },
    Hole {
        feature: SEALS,
        at: |_, vendor| vendor == "chat",
        who: "over chat completions",
        why: "chat completions have thoughts without seals",
        instead: Unasked(|asked| thoughts(asked, |all| all.iter_mut().for_each(|(_, seal)| seal.clear()))),
    },
    Hole {
        feature: SEALS,
        at: |_, vendor| vendor == "gemini",
        who: "over Gemini",
        why: "Gemini's seal is on the call, and without one of their own its thoughts needn't go back",
        instead: Unasked(|asked| thoughts(asked, |all| all.iter_mut().for_each(|(text, _)| text.clear()))),
    },
    Hole {
        feature: REFUSAL,
        at: |client, vendor| {
            ["native", "messages", "ollama", "gemini"].contains(&client)
                || ["anthropic", "gemini", "bedrock"].contains(&vendor)
        },
        who: "over Anthropic, Gemini and Bedrock; to `/v1/generate`, `/v1/messages`, `/api/chat` and `:generateContent`",
        why: "they have no other words for a refusal than a text, and the reason of its end",
        instead: Untold(|answer| answer.text = std::mem::take(&mut answer.refusal)),
    },
    Hole {
        feature: UNKNOWN,
        at: |client, _| client == "native",
        who: "from `/v1/generate`",
        why: "the native dialect is no vendor's: what it doesn't know is an error",
        instead: Refused,
    },
    Hole {
        feature: UNKNOWN,
        at: |client, vendor| client != "native" && !is_same(client, vendor),
        who: "between different dialects",
        why: "what it means is known in its own dialect alone",
        instead: Unasked(|asked| asked.unknown = false),
    },
    // The last one: others tell less of the same.
    Hole {
        feature: ANY,
        at: |client, _| client == "ollama",
        who: "to `/api/chat`",
        why: "Ollama counts the tokens of the prompt and of the answer alone",
        instead: Untold(|answer| (answer.usage.cached, answer.usage.thoughts) = (0, 0)),
    },
];

/// Whether a client and a vendor speak one dialect.
fn is_same(client: &str, vendor: &str) -> bool {
    [("chat", "chat"), ("messages", "anthropic"), ("responses", "responses"), ("gemini", "gemini")]
        .contains(&(client, vendor))
}

fn only_ends(answer: &mut Answer) {
    answer.end = End::Turn;
}

fn thoughts(asked: &mut Asked, change: fn(&mut Vec<(String, String)>)) {
    for turn in &mut asked.turns {
        if let Turn::Assistant { thoughts, .. } = turn {
            change(thoughts);
        }
    }
}
