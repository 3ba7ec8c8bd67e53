use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use futures::stream;
use proptest::prelude::*;

use super::*;

/// What is said in frames, as pairs of an event and its data.
type Said = Vec<(String, String)>;

fn read(framing: Framing, pieces: Vec<io::Result<Bytes>>) -> Vec<io::Result<(String, String)>> {
    let frames = framing.frames(stream::iter(pieces));
    let frames = frames.map(|frame| frame.map(|OwnedFrame { event, data }| (event, data)));
    futures::executor::block_on(frames.collect())
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

/// The same bytes, cut where `cuts` say.
fn cut(bytes: &[u8], cuts: &[usize]) -> Vec<io::Result<Bytes>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| Ok(Bytes::copy_from_slice(&bytes[ends[0]..ends[1]]))).collect()
}

fn good(frames: Vec<io::Result<(String, String)>>) -> Said {
    frames.into_iter().map(Result::unwrap).collect()
}

proptest! {
    #[test]
    fn wherever_messages_are_cut_they_are_the_same(
        said in prop::collection::vec(("[a-z]{0,9}", "\\PC{0,40}"), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes: Vec<u8> = said.iter().flat_map(|(name, data)| event(name, data)).collect();
        prop_assert_eq!(good(read(Framing::AwsEventStream, cut(&bytes, &cuts))), said);
    }

    #[test]
    fn wherever_server_sent_events_are_cut_they_are_the_same(
        said in prop::collection::vec(("[a-z]{1,9}", "[^\\p{C}\\p{Z}]{1,40}"), 0..6),
        line_end in prop::sample::select(vec!["\n", "\r\n"]),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let frame = |(name, data): &(String, String)| {
            format!(": comment{line_end}event: {name}{line_end}data: {data}{line_end}{line_end}")
        };
        let bytes: String = said.iter().map(frame).collect();
        prop_assert_eq!(good(read(Framing::ServerSentEvents, cut(bytes.as_bytes(), &cuts))), said);
    }

    #[test]
    fn whatever_the_bytes_are_nothing_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        length in 0..64_u32,
        cuts in prop::collection::vec(any::<usize>(), 0..4),
    ) {
        let bytes = [&length.to_be_bytes()[..], &bytes].concat();
        for framing in [Framing::AwsEventStream, Framing::ServerSentEvents] {
            read(framing, cut(&bytes, &cuts));
        }
    }
}

#[test]
fn an_event_is_named_by_whichever_header_a_message_has() {
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
        let frames = good(read(Framing::AwsEventStream, vec![Ok(bytes.into())]));
        assert_eq!(frames, [(name.to_owned(), data.to_owned())]);
    }
}

#[test]
fn what_is_broken_is_an_error_after_what_is_whole() {
    let whole = event("a", "{}");
    let mut spoilt = event("b", "{}");
    *spoilt.last_mut().unwrap() ^= 1;
    let too_long = [0xff; 4].to_vec();
    let cases = [
        (spoilt, io::ErrorKind::InvalidData),
        (too_long, io::ErrorKind::InvalidData),
        (event("b", "{}")[..20].to_vec(), io::ErrorKind::UnexpectedEof),
        (event("b", "{}")[..2].to_vec(), io::ErrorKind::UnexpectedEof),
    ];
    for (bytes, kind) in cases {
        let bytes = [whole.clone(), bytes].concat();
        let frames = read(Framing::AwsEventStream, vec![Ok(bytes.into())]);
        let [Ok(first), Err(error)] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!((first.0.as_str(), error.kind()), ("a", kind));
    }
}

#[test]
fn an_error_of_the_connection_is_passed_on() {
    for framing in [Framing::AwsEventStream, Framing::ServerSentEvents] {
        let frames = read(framing, vec![Err(io::ErrorKind::TimedOut.into())]);
        assert!(matches!(&frames[0], Err(error) if error.kind() == io::ErrorKind::TimedOut), "{frames:?}");
    }
}
