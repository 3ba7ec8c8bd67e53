//! Rows of the table: a request, and its response.

use serde_json::json;

use super::neutral::{Answer, End, Part, Request, Turn, Usage, look, parameters, user_turn};

/// Feature that both dialects have, except in the holes.
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) request: Request,
    pub(super) answer: Answer,
    /// True if the client then sends the response back, with the result of its call.
    pub(super) has_next: bool,
}

pub(super) const SYSTEM: &str = "system prompt";
pub(super) const TURNS: &str = "several turns";
pub(super) const PICTURE: &str = "image in base64";
pub(super) const LINK: &str = "image by URL";
pub(super) const DOCUMENT: &str = "document in base64";
pub(super) const CALLS: &str = "parallel tool calls";
pub(super) const RESULTS: &str = "results of tools";
pub(super) const SCHEMA: &str = "JSON Schema";
pub(super) const SCHEMA_NAME: &str = "name of a schema";
pub(super) const AUTHOR: &str = "name of a message's author";
pub(super) const MARK: &str = "cache mark on a part";
pub(super) const STOP: &str = "stop texts";
pub(super) const SEED: &str = "seed";
pub(super) const THOUGHTS: &str = "thoughts, and tokens counted";
pub(super) const SEALS: &str = "thoughts handed back";
pub(super) const REFUSAL: &str = "refusal";
pub(super) const LENGTH: &str = "cut off at its length";
pub(super) const FILTERED: &str = "held back";
pub(super) const UNKNOWN: &str = "unknown field";
pub(super) const LONG: &str = "conversation of 200 KB";

fn hello() -> Request {
    Request { turns: vec![user_turn("Hello!")], ..Request::default() }
}

fn there() -> Answer {
    Answer { text: "Grüß dich there.".to_owned(), ..Answer::default() }
}

fn shows(part: Part) -> Request {
    Request {
        turns: vec![Turn::User(vec![Part::Text("What is this?".to_owned()), part])],
        ..Request::default()
    }
}

fn ends(end: End) -> Answer {
    Answer { end, ..there() }
}

fn calls(ids: &[&str]) -> Answer {
    let calls = ids.iter().map(|id| look(id, "Ulm")).collect();
    Answer { calls, end: End::Calls, ..Answer::default() }
}

/// Returns every feature.
pub(super) fn all() -> Vec<Feature> {
    let feature =
        |name, request: Request, answer: Answer| Feature { name, request, answer, has_next: name == SEALS };
    let assistant_turn =
        |text: &str| Turn::Assistant { thoughts: Vec::new(), text: text.to_owned(), calls: Vec::new() };
    let looked = Turn::Assistant {
        thoughts: Vec::new(),
        text: "I look.".to_owned(),
        calls: vec![look("c1", "Ulm"), look("c2", "Bonn")],
    };
    let results = Turn::Results(vec![("c1".into(), "a cat".into()), ("c2".into(), "a dog".into())]);
    let tools = Request { tool: true, ..hello() };
    let thoughtful = Answer {
        thoughts: "Hm, well.".to_owned(),
        seal: "c2VhbGVk".to_owned(),
        usage: Usage { thoughts: 3, ..Usage::default() },
        ..there()
    };
    vec![
        feature(SYSTEM, Request { system: Some("Be brief.".to_owned()), ..hello() }, there()),
        feature(
            TURNS,
            Request {
                turns: vec![user_turn("One?"), assistant_turn("Two."), user_turn("Three?")],
                ..Request::default()
            },
            there(),
        ),
        feature(PICTURE, shows(Part::Picture("iVBORw0KGgo=".to_owned())), there()),
        feature(LINK, shows(Part::Link("https://example.org/a.png".to_owned())), there()),
        feature(DOCUMENT, shows(Part::Document("JVBERi0xLjQK".to_owned())), there()),
        feature(CALLS, tools.clone(), calls(&["c1", "c2"])),
        feature(
            RESULTS,
            Request { turns: vec![user_turn("Look!"), looked, results], tool: true, ..Request::default() },
            there(),
        ),
        feature(
            SCHEMA,
            Request { schema: Some(parameters()), ..hello() },
            Answer { text: json!({"at": "Ulm"}).to_string(), ..Answer::default() },
        ),
        feature(
            SCHEMA_NAME,
            Request { schema: Some(parameters()), schema_name: Some("place".to_owned()), ..hello() },
            Answer { text: json!({"at": "Ulm"}).to_string(), ..Answer::default() },
        ),
        feature(AUTHOR, Request { author: Some("ada".to_owned()), ..hello() }, there()),
        feature(MARK, Request { mark: true, ..hello() }, there()),
        feature(
            STOP,
            Request { stop: vec!["END".to_owned(), "STOP".to_owned()], ..hello() },
            ends(End::StopText("STOP".to_owned())),
        ),
        feature(SEED, Request { seed: Some(7), ..hello() }, there()),
        feature(THOUGHTS, hello(), thoughtful.clone()),
        feature(SEALS, tools, thoughtful.calling("c1")),
        feature(
            REFUSAL,
            hello(),
            Answer { refusal: "I'd rather not.".to_owned(), end: End::Filtered, ..Answer::default() },
        ),
        feature(LENGTH, hello(), ends(End::Length)),
        feature(FILTERED, hello(), ends(End::Filtered)),
        feature(UNKNOWN, Request { unknown: true, ..hello() }, there()),
        feature(LONG, long_conversation(), there()),
    ]
}

/// Hundreds of short turns, a text of 100 KB and a tool's result of 40 KB, with characters that JSON escapes.
fn long_conversation() -> Request {
    const LINE: &str = "say \"größer\"\n\tat C:\\ulm\u{1}, 東京/";
    let assistant = |text: String, calls| Turn::Assistant { thoughts: Vec::new(), text, calls };
    let short = (0..200).flat_map(|number| {
        let text = format!("{number}. {LINE}");
        [user_turn(&text), assistant(text.repeat(3), Vec::new())]
    });
    let mut turns: Vec<Turn> = short.collect();
    turns.push(user_turn(&format!("{}end", LINE.repeat(100_000 / LINE.len()))));
    turns.push(assistant("I look.".to_owned(), vec![look("c1", "Ulm")]));
    turns.push(Turn::Results(vec![("c1".to_owned(), format!("{}end", LINE.repeat(40_000 / LINE.len())))]));
    Request { turns, tool: true, ..Request::default() }
}

impl Answer {
    /// Replaces the text by a call.
    fn calling(self, id: &str) -> Self {
        let Self { calls, end, .. } = calls(&[id]);
        Self { text: String::new(), calls, end, ..self }
    }
}
