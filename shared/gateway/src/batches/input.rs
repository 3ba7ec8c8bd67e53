//! Lines of a batch's input, read by ranges: no more than a piece of the file and one line are in memory.

use hearth_domain::FileId;
use hearth_store::{Store, StoreError, batches::PendingRequest};

/// Bytes of the file that are read at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// The mark with which some programs begin a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The input of a batch.
#[derive(Debug, Clone)]
pub(super) struct InputFile {
    pub(super) store: Store,
    pub(super) file: FileId,
    pub(super) size_bytes: u64,
    /// Limit of the bytes of a line.
    pub(super) line_max_bytes: u64,
}

/// A line of an input that isn't empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputLine {
    pub(super) place: PendingRequest,
    /// The line without its end.
    pub(super) bytes: Vec<u8>,
}

/// Reason why an input can't be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("the input file was deleted")]
    Gone,
    #[error("the line is over the limit of {max_bytes} bytes")]
    TooLong { line: u64, max_bytes: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads an input from a position on.
#[derive(Debug)]
pub(super) struct LineReader {
    input: InputFile,
    lines: LineBuffer,
}

impl InputFile {
    /// Reads the line at a place.
    pub(super) async fn line_at(&self, place: PendingRequest) -> Result<InputLine, InputError> {
        let bytes = self.read(place.offset, place.length).await?;
        Ok(InputLine { place, bytes })
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let last = (offset + length).saturating_sub(1);
        let blob = self.store.files().read_range(self.file, offset, last).await?.ok_or(InputError::Gone)?;
        blob.collect().await.map_err(|error| InputError::Store(StoreError::unreadable(error)))
    }
}

impl LineReader {
    /// A reader from the line `line` on, which begins at `offset`.
    pub(super) fn new(input: InputFile, offset: u64, line: u64) -> Self {
        let lines = LineBuffer::new(input.line_max_bytes, offset, line);
        Self { input, lines }
    }

    /// The offset and the number of the next line.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.lines.offset, self.lines.line)
    }

    /// The next line that isn't empty; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<InputLine>, InputError> {
        loop {
            let end = self.lines.end();
            let rest = self.input.size_bytes.saturating_sub(end);
            if let Some(line) = self.lines.next(rest == 0)? {
                return Ok(Some(line));
            }
            if rest == 0 {
                return Ok(None);
            }
            let piece = self.input.read(end, PIECE_BYTES.min(rest)).await?;
            if piece.is_empty() {
                return Err(InputError::Gone);
            }
            self.lines.push(&piece);
        }
    }
}

/// Cuts the bytes of an input into lines.
#[derive(Debug)]
struct LineBuffer {
    line_max_bytes: u64,
    /// Bytes that are read, of which those before `start` are used.
    bytes: Vec<u8>,
    start: usize,
    /// Bytes from `start` on in which no line ends.
    searched: usize,
    /// Offset in the file of the byte at `start`.
    offset: u64,
    /// Number of the line that begins there.
    line: u64,
}

impl LineBuffer {
    fn new(line_max_bytes: u64, offset: u64, line: u64) -> Self {
        Self { line_max_bytes, bytes: Vec::new(), start: 0, searched: 0, offset, line }
    }

    /// The offset in the file behind the bytes that are read.
    fn end(&self) -> u64 {
        self.offset + (self.bytes.len() - self.start) as u64
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next line that isn't empty; `None` if none is complete. `is_last`: the file has no further bytes.
    fn next(&mut self, is_last: bool) -> Result<Option<InputLine>, InputError> {
        loop {
            let rest = &self.bytes[self.start..];
            let end =
                rest[self.searched..].iter().position(|byte| *byte == b'\n').map(|at| at + self.searched);
            let length = end.unwrap_or(rest.len());
            if length as u64 > self.line_max_bytes {
                return Err(InputError::TooLong { line: self.line, max_bytes: self.line_max_bytes });
            }
            // The last line need not have an end.
            if end.is_none() && (!is_last || rest.is_empty()) {
                self.searched = rest.len();
                return Ok(None);
            }
            let mut text = &rest[..length];
            if self.offset == 0 {
                text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
            }
            let text = text.trim_ascii_start();
            let skipped = (length - text.len()) as u64;
            let text = text.trim_ascii_end().to_vec();
            let place = PendingRequest {
                line: self.line,
                offset: self.offset + skipped,
                length: text.len() as u64,
                deaths: 0,
            };
            let taken = length + usize::from(end.is_some());
            (self.start, self.searched) = (self.start + taken, 0);
            (self.offset, self.line) = (self.offset + taken as u64, self.line + 1);
            if !text.is_empty() {
                return Ok(Some(InputLine { place, bytes: text }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text that is read in pieces of this size.
    fn lines(text: &[u8], piece_bytes: usize, offset: u64, line: u64) -> Result<Vec<InputLine>, InputError> {
        let mut buffer = LineBuffer::new(20, offset, line);
        let (mut lines, mut pieces) =
            (Vec::new(), text[usize::try_from(offset).unwrap()..].chunks(piece_bytes));
        loop {
            let is_last = buffer.end() == text.len() as u64;
            match buffer.next(is_last)? {
                Some(line) => lines.push(line),
                None if is_last => return Ok(lines),
                None => buffer.push(pieces.next().unwrap()),
            }
        }
    }

    #[test]
    fn lines_are_the_same_wherever_the_pieces_are_cut() {
        let text = b"\xEF\xBB\xBF{\"a\":1}\r\n\n  {\"b\":2} \n\t\n{\"c\":\"\xC3\xA9\"}";
        let whole = lines(text, text.len(), 0, 0).unwrap();
        let texts: Vec<&[u8]> = whole.iter().map(|line| line.bytes.as_slice()).collect();
        assert_eq!(texts, [&b"{\"a\":1}"[..], b"{\"b\":2}", b"{\"c\":\"\xC3\xA9\"}"]);
        assert_eq!(whole.iter().map(|line| line.place.line).collect::<Vec<_>>(), [0, 2, 4]);
        for piece_bytes in 1..text.len() {
            assert_eq!(lines(text, piece_bytes, 0, 0).unwrap(), whole, "{piece_bytes}");
        }
        for line in &whole {
            let place = line.place;
            let range =
                usize::try_from(place.offset).unwrap()..usize::try_from(place.offset + place.length).unwrap();
            assert_eq!(text[range], line.bytes, "a pending request is read again at its place");
        }
    }

    #[test]
    fn reader_goes_on_behind_a_line() {
        let text = b"{\"a\":1}\n{\"b\":2}\n";
        let rest = lines(text, 3, 8, 1).unwrap();
        assert_eq!((rest.len(), rest[0].place.line, rest[0].bytes.as_slice()), (1, 1, &b"{\"b\":2}"[..]));
        assert!(lines(text, 3, 16, 2).unwrap().is_empty());
    }

    #[test]
    fn long_line_is_refused_before_it_is_read_whole() {
        let text = [b"{}\n".as_slice(), &b"x".repeat(1000)].concat();
        match lines(&text, 8, 0, 0) {
            Err(InputError::TooLong { line: 1, max_bytes: 20 }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(lines(&[&b"x".repeat(20)[..], b"\n"].concat(), 7, 0, 0).unwrap().len(), 1);
    }
}
