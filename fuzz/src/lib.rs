//! The properties that hold for any bytes of a provider, and for any credential of a client.

pub mod credentials;
pub mod targets;

use hearth_providers::{
    Framing,
    dialect::Dialect,
    framing::{FrameReader, OwnedFrame},
    reader::AnswerReader,
};
use hearth_wire::{ApiError, RunEventBody};

/// The events of a body in these pieces, and the error after them.
fn read<'a>(
    dialect: Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<RunEventBody>, Result<(), ApiError>) {
    let (mut reader, mut events) = (AnswerReader::new(dialect), Vec::new());
    let read = || {
        for piece in pieces {
            reader.push(piece, &mut events)?;
        }
        reader.end(&mut events)
    };
    let result = read();
    (events, result)
}

/// Checks that a body becomes a complete answer or an error, and the same one when it is cut into pieces. The first byte
/// is their size.
///
/// # Panics
/// If the property is violated.
pub fn check_answer(dialect: Dialect, data: &[u8]) {
    let Some((size, body)) = data.split_first() else { return };
    let (events, result) = read(dialect, [body]);
    let ends = events.iter().filter(|event| event.is_terminal()).count();
    match &result {
        Ok(()) => {
            let done = matches!(events.last(), Some(RunEventBody::Done { .. }));
            assert!(done && ends == 1, "no complete answer: {events:?}");
        }
        Err(_) => assert_eq!(ends, 0, "an end and an error: {events:?} {result:?}"),
    }
    let (cut_events, cut_result) = read(dialect, body.chunks(usize::from(*size).max(1)));
    // Generated ids differ each time.
    assert_eq!((events.len(), result), (cut_events.len(), cut_result));
}

/// Checks that a body contains the same frames, and the same error after them, when it is cut into pieces. The first byte
/// is their size.
///
/// # Panics
/// If the property is violated.
pub fn check_frames(framing: Framing, data: &[u8]) {
    let Some((size, body)) = data.split_first() else { return };
    let size = usize::from(*size).max(1);
    assert_eq!(read_frames(framing, [body]), read_frames(framing, body.chunks(size)));
}

fn read_frames<'a>(
    framing: Framing,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<OwnedFrame>, Result<(), ApiError>) {
    let (mut reader, mut frames) = (FrameReader::new(framing), Vec::new());
    let read = || {
        for piece in pieces {
            reader.push(piece, &mut frames)?;
        }
        reader.finish(&mut frames)
    };
    let result = read();
    (frames, result)
}
