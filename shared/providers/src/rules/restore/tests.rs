use hearth_domain::{ClientDialect, Logprob, Usage};
use hearth_wire::{event::ToolCallBegin, extension::Extension};
use serde_json::{Map, json};

use super::*;

/// A decoder that returns these events, one list for each frame.
struct Scripted(Vec<Vec<RunEventBody>>);

impl Decoder for Scripted {
    fn decode(&mut self, _: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        events.append(&mut self.0.remove(0));
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        Ok(self.0.drain(..).flatten().collect())
    }
}

fn restored(restore: Restore, events: Vec<RunEventBody>) -> Vec<RunEventBody> {
    let mut decoder = restore.wrap(Box::new(Scripted(events.into_iter().map(|event| vec![event]).collect())));
    decoder.end().unwrap()
}

fn stops(texts: &[&str]) -> Restore {
    Restore::new(BTreeMap::new(), texts.iter().map(|text| (*text).to_owned()).collect(), false)
}

fn usage() -> RunEventBody {
    RunEventBody::Usage { usage: Usage { completion_tokens: 9, ..Usage::default() } }
}

fn done(finish_reason: FinishReason) -> RunEventBody {
    RunEventBody::Done { finish_reason }
}

/// The text, the stop text, and the last event.
fn summary(events: &[RunEventBody]) -> (String, Option<&str>, Option<&RunEventBody>) {
    let text = events.iter().filter_map(|event| match event {
        RunEventBody::Delta { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let stop = events.iter().find_map(|event| match event {
        RunEventBody::StopText { text, .. } => Some(text.as_str()),
        _ => None,
    });
    (text.collect(), stop, events.last())
}

#[test]
fn stop_text_across_pieces_ends_the_answer_and_keeps_the_usage() {
    let pieces = ["one S", "T", "OP two", " STOP"].map(RunEventBody::text);
    let events = pieces.into_iter().chain([usage(), done(FinishReason::Length)]).collect();
    let events = restored(stops(&["STOP", "END"]), events);
    assert_eq!(summary(&events), ("one ".to_owned(), Some("STOP"), Some(&done(FinishReason::Stop))));
    assert!(events.contains(&usage()));
}

#[test]
fn partial_stop_text_is_released_once_it_cannot_match() {
    let pieces = ["a S", "TO", "x ST"].map(RunEventBody::text);
    let events = pieces.into_iter().chain([done(FinishReason::Stop)]).collect();
    assert_eq!(
        summary(&restored(stops(&["STOP"]), events)),
        ("a STOx ST".to_owned(), None, Some(&done(FinishReason::Stop)))
    );
}

#[test]
fn first_stop_text_of_an_answer_counts() {
    let events = vec![RunEventBody::text("one\ntwo END"), done(FinishReason::Stop)];
    let events = restored(stops(&["END", "\n"]), events);
    assert_eq!(summary(&events).0, "one");
    assert_eq!(summary(&events).1, Some("\n"));
}

#[test]
fn calls_after_a_stop_text_are_dropped_and_other_answers_continue() {
    let delta = |choice, text: &str| RunEventBody::Delta { choice, text: text.into(), logprobs: Vec::new() };
    let begins = Some(ToolCallBegin { id: "1".into(), name: "look".into() });
    let call = RunEventBody::ToolCall { choice: 0, index: 0, begins, arguments: String::new() };
    let ended = |choice, finish_reason| RunEventBody::ChoiceDone { choice, finish_reason };
    let events = vec![
        delta(0, "a\nb"),
        call,
        delta(1, "c"),
        ended(0, FinishReason::ToolCalls),
        ended(1, FinishReason::Length),
        done(FinishReason::ToolCalls),
    ];
    let stop = RunEventBody::StopText { choice: 0, text: "\n".into() };
    let expected = [
        delta(0, "a"),
        stop,
        delta(1, "c"),
        ended(0, FinishReason::Stop),
        ended(1, FinishReason::Length),
        done(FinishReason::Stop),
    ];
    assert_eq!(restored(stops(&["\n"]), events), expected);
}

#[test]
fn log_probabilities_stay_with_their_text() {
    let token = |text: &str| TokenLogprob {
        token: Logprob { bytes: text.as_bytes().to_vec(), logprob: -0.5 },
        top: Vec::new(),
    };
    let delta = |text: &str, tokens: &[&str]| RunEventBody::Delta {
        choice: 0,
        text: text.into(),
        logprobs: tokens.iter().map(|text| token(text)).collect(),
    };
    let events = vec![delta("one S", &["one ", "S"]), delta("TOP", &["TOP"]), done(FinishReason::Stop)];
    let events = restored(stops(&["STOP"]), events);
    assert_eq!(events[0], delta("one ", &["one "]));
    assert_eq!(summary(&events).1, Some("STOP"));
}

#[test]
fn calls_get_the_clients_names_back() {
    let names = BTreeMap::from_iter([("look_up_0".to_owned(), "look.up".to_owned())]);
    let call = |name: &str| RunEventBody::ToolCall {
        choice: 0,
        index: 0,
        begins: Some(ToolCallBegin { id: "1".into(), name: name.into() }),
        arguments: String::new(),
    };
    let events = restored(Restore::new(names, Vec::new(), false), vec![call("look_up_0"), call("hear")]);
    assert_eq!(events, [call("look.up"), call("hear")]);
}

#[test]
fn arguments_of_the_answer_tool_are_the_text() {
    let begins = |name: &str| Some(ToolCallBegin { id: "a".to_owned(), name: name.to_owned() });
    let piece = |index, begins, arguments: &str| RunEventBody::ToolCall {
        choice: 0,
        index,
        begins,
        arguments: arguments.to_owned(),
    };
    let events = vec![
        piece(0, begins(crate::answer_schema::ANSWER_TOOL), ""),
        piece(0, None, "{\"a\":"),
        piece(0, None, "1}"),
        piece(1, begins(crate::answer_schema::ANSWER_TOOL), "{}"),
        usage(),
        done(FinishReason::ToolCalls),
    ];
    let restored = restored(Restore::new(BTreeMap::new(), Vec::new(), true), events);
    assert_eq!(
        restored,
        [RunEventBody::text("{\"a\":"), RunEventBody::text("1}"), usage(), done(FinishReason::Stop)]
    );
}

#[test]
fn stop_text_around_a_citation_ends_the_answer() {
    let extension = |extension| RunEventBody::extension(ClientDialect::Gemini, extension);
    let citation = || extension(Extension::Annotation(json!({"url": "https://example.org"})));
    let fields = || extension(Extension::Fields(Map::new()));
    let text = RunEventBody::text;
    let events =
        vec![text("one S"), fields(), citation(), text("TOP two"), fields(), done(FinishReason::Length)];
    let stop = RunEventBody::StopText { choice: 0, text: "STOP".into() };
    let expected = [text("one "), fields(), citation(), stop, fields(), done(FinishReason::Stop)];
    assert_eq!(restored(stops(&["STOP"]), events), expected);
    // Text that is no stop text after all comes before its citation.
    let events = vec![text("one S"), citation(), text("o."), done(FinishReason::Stop)];
    let expected = [text("one "), text("So."), citation(), done(FinishReason::Stop)];
    assert_eq!(restored(stops(&["STOP"]), events), expected);
    // A further block of text isn't joined with withheld text.
    let block = || extension(Extension::TextBlock);
    let events = vec![text("E"), block(), text("xplained"), done(FinishReason::Stop)];
    let expected = [text("E"), block(), text("xplained"), done(FinishReason::Stop)];
    assert_eq!(restored(stops(&["END"]), events), expected);
}
