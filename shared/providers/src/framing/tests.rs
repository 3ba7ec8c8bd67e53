use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use proptest::prelude::*;

use super::*;

/// Frames as pairs of an event and its data.
type Frames = Vec<(String, String)>;

/// The frames of a body in these pieces, and the error after them.
fn read<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Frames, Option<ApiError>) {
    let (mut reader, mut frames) = (FrameReader::new(framing), Vec::new());
    let read = || {
        for piece in pieces {
            reader.push(piece, &mut frames)?;
        }
        reader.finish(&mut frames)
    };
    let error = read().err();
    (frames.into_iter().map(|OwnedFrame { event, data }| (event, data)).collect(), error)
}

/// The data of the frames of a valid stream of server-sent events.
fn data(bytes: impl AsRef<[u8]>) -> Vec<String> {
    let (frames, error) = read(Framing::ServerSentEvents, [bytes.as_ref()]);
    assert_eq!(error, None);
    frames.into_iter().map(|(_, data)| data).collect()
}

fn message(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let header = |(name, value): &(&str, &str)| {
        Header::new((*name).to_owned(), HeaderValue::String((*value).to_owned().into()))
    };
    let headers = headers.iter().map(header).collect();
    let mut bytes = Vec::new();
    write_message_to(&Message::new_from_parts(headers, payload.to_owned()), &mut bytes).unwrap();
    bytes
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    message(&[(":message-type", "event"), (":event-type", name)], payload)
}

/// Splits bytes at the places in `cuts`.
fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

/// Pieces of server-sent events and JSON.
const PIECES: &[&str] = &[
    "\u{feff}",
    "data:",
    "data: ",
    "event: a",
    "error: ",
    ":",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "{\"a\":1}",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "\\",
    "null",
    "[DONE]",
    "é",
    " ",
    "<",
    "id: 1",
    "retry: 9",
];

/// Bytes that often look like server-sent events or JSON.
fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn split_aws_messages_give_the_same_frames(
        frames in prop::collection::vec(("[a-z]{0,9}", "\\PC{0,40}"), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(name, data)| event(name, data)).collect();
        prop_assert_eq!(read(Framing::AwsEventStream, cut(&bytes, &cuts)), (frames, None));
    }

    #[test]
    fn split_server_sent_events_give_the_same_frames(
        frames in prop::collection::vec(("[a-z]{1,9}", "[^\\p{C}\\p{Z}\\[\\]{}]{1,40}"), 0..6),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        mark in prop::sample::select(vec!["", "\u{feff}"]),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let frame = |(name, data): &(String, String)| {
            format!(": comment{line_end}event: {name}{line_end}data: {data}{line_end}{line_end}")
        };
        let bytes: String = std::iter::once(mark.to_owned()).chain(frames.iter().map(frame)).collect();
        prop_assert_eq!(read(Framing::ServerSentEvents, cut(bytes.as_bytes(), &cuts)), (frames, None));
    }

    #[test]
    fn split_bytes_give_the_same_frames_or_error(
        bytes in likely_bytes(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        for framing in [Framing::AwsEventStream, Framing::ServerSentEvents] {
            prop_assert_eq!(read(framing, cut(&bytes, &cuts)), read(framing, [&bytes[..]]));
        }
    }

    #[test]
    fn invalid_aws_message_does_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        length in 0..64_u32,
        cuts in prop::collection::vec(any::<usize>(), 0..4),
    ) {
        let bytes = [&length.to_be_bytes()[..], &bytes].concat();
        read(Framing::AwsEventStream, cut(&bytes, &cuts));
    }
}

#[test]
fn line_ends_and_fields_are_read_in_every_form() {
    let cases: [(&str, &[&str]); 12] = [
        ("data: a\n\ndata: b\n\n", &["a", "b"]),
        ("\u{feff}data: a\r\rdata:b\r\n\r\n", &["a", "b"]),
        (": hi\nid: 1\nretry: 5\ndata: a\ndata: b\n\n", &["a\nb"]),
        ("data\ndata: \n\ndata: a\n\n", &["\n", "a"]),
        // Without the last empty line, and truncated.
        ("data: {\"a\":1}", &["{\"a\":1}"]),
        ("data: {\"a\":1}\n", &["{\"a\":1}"]),
        ("data: [DONE]", &["[DONE]"]),
        ("data: {\"a\":1}\n\ndata: {\"a\"", &["{\"a\":1}"]),
        // Without empty lines in between.
        ("data: {\"a\":1}\ndata: {\"a\":2}\ndata: [DONE]\n\n", &["{\"a\":1}", "{\"a\":2}", "[DONE]"]),
        ("data: {\ndata: \"a\":1}\n\n", &["{\n\"a\":1}"]),
        // A line of JSON within the stream.
        ("data: {\"a\":1}\n\n{\"error\":\"x\"}\n", &["{\"a\":1}", "{\"error\":\"x\"}"]),
        ("error: {\"code\":500}\n\n", &["{\"code\":500}"]),
    ];
    for (text, expected) in cases {
        assert_eq!(data(text), expected, "{text:?}");
    }
    assert_eq!(data(b"data: \xff\n\n"), ["\u{fffd}"]);
    let named = read(Framing::ServerSentEvents, [&b"error: x\n\nevent: y\ndata: z\n\n"[..]]).0;
    assert_eq!(named, [("error", "x"), ("y", "z")].map(|(event, data)| (event.to_owned(), data.to_owned())));
}

#[test]
fn json_in_place_of_a_stream_is_read() {
    let cases: [(&str, &[&str]); 6] = [
        ("\u{feff} {\"a\": {\"b\": \"}\"}}\n", &["{\"a\": {\"b\": \"}\"}}"]),
        ("{\n \"a\": 1\n}", &["{\n \"a\": 1\n}"]),
        ("[{\"a\":1},\n{\"a\":2}]", &["{\"a\":1}", "{\"a\":2}"]),
        ("{\"a\":1}\n{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"]),
        ("{\"error\":1}\n\ndata: {\"a\":1}\n\n", &["{\"error\":1}", "{\"a\":1}"]),
        (" \r\n", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(data(text), expected, "{text:?}");
    }
    let (frames, error) = read(Framing::AwsEventStream, [&b"{\"message\":\"no\"}"[..]]);
    assert_eq!((frames.len(), error), (1, None));
    for (text, problem) in [("<html>", "HTML"), ("{\"a\":", "incomplete")] {
        let error = read(Framing::ServerSentEvents, [text.as_bytes()]).1.unwrap();
        assert!(error.message.contains(problem), "{error}");
    }
    assert!(read(Framing::AwsEventStream, [&b"data: x\n\n"[..]]).1.is_some());
}

#[test]
fn frame_is_bounded_and_a_large_one_takes_linear_time() {
    let piece = vec![b'x'; 64 << 10];
    let count = FRAME_MAX_BYTES / piece.len();
    // Up to the limit in pieces: with quadratic time this would take minutes.
    let whole: Vec<&[u8]> =
        [&b"data: "[..]].into_iter().chain(vec![&piece[..]; count - 1]).chain([&b"\n\n"[..]]).collect();
    let (frames, error) = read(Framing::ServerSentEvents, whole);
    assert_eq!((frames.len(), frames[0].1.len(), error), (1, piece.len() * (count - 1), None));
    for begin in [&b"data: "[..], b": ", b"{\"a\":\""] {
        let endless = [begin].into_iter().chain(vec![&piece[..]; count + 1]);
        let error = read(Framing::ServerSentEvents, endless).1.unwrap();
        assert!(error.message.contains("32 MiB"), "{error}");
    }
    let lines = vec![[b"data: ", &piece[..], b"\n"].concat(); count + 1];
    assert!(read(Framing::ServerSentEvents, lines.iter().map(|line| &line[..])).1.is_some());
}

#[test]
fn event_name_is_read_from_each_header() {
    let cases = [
        (event("messageStop", "{}"), "messageStop", "{}"),
        (
            message(
                &[(":message-type", "exception"), (":exception-type", "throttlingException")],
                "{\"a\":1}",
            ),
            "throttlingException",
            "{\"a\":1}",
        ),
        (
            message(&[(":error-code", "InternalError"), (":error-message", "Oh")], ""),
            "InternalError",
            "{\"message\":\"Oh\"}",
        ),
        (message(&[], "x"), "", "x"),
    ];
    for (bytes, name, data) in cases {
        let frames = read(Framing::AwsEventStream, [&bytes[..]]);
        assert_eq!(frames, (vec![(name.to_owned(), data.to_owned())], None));
    }
}

#[test]
fn broken_message_is_an_error_after_the_complete_ones() {
    let whole = event("a", "{}");
    let mut spoilt = event("b", "{}");
    *spoilt.last_mut().unwrap() ^= 1;
    let too_long = [0xff; 4].to_vec();
    for bytes in [spoilt, too_long, event("b", "{}")[..20].to_vec(), event("b", "{}")[..2].to_vec()] {
        let bytes = [whole.clone(), bytes].concat();
        let (frames, error) = read(Framing::AwsEventStream, [&bytes[..]]);
        assert_eq!((frames.len(), frames[0].0.as_str(), error.is_some()), (1, "a", true));
    }
}
