//! HTTP/1.1 messages: a head, and a body whose bytes stay as they were framed.

use bytes::{Bytes, BytesMut};

use crate::line::Incoming;

/// The end of a head.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// The end of a line.
const LINE_END: &[u8] = b"\r\n";

/// First line and headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) bytes: Bytes,
    text: String,
}

/// The rest of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Length(usize),
    /// Up to the end of the last chunk.
    Chunked,
    /// Up to the end of the connection.
    ToEnd,
    /// The lines behind the last chunk.
    Trailers,
}

impl Head {
    /// Reads a head; none if the connection ends before.
    pub(crate) async fn read(from: &mut Incoming) -> Option<Self> {
        let bytes = from.take_through(HEAD_END).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(Self { bytes, text })
    }

    /// A word of the first line: the method is the first of a request, the status the second of an answer.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.text.lines().next().and_then(|line| line.split(' ').nth(index)).unwrap_or_default()
    }

    /// An answer's status.
    pub(crate) fn status(&self) -> Option<u16> {
        self.word(1).parse().ok()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(header, _)| header.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Returns whether a request asks for a WebSocket.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.header("upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
    }

    /// Returns whether the connection ends with this message.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    /// The body of a request.
    pub(crate) fn request_body(&self) -> Body {
        if self.is_chunked() { Body::Chunked } else { Body::Length(self.length().unwrap_or(0)) }
    }

    /// The body of an answer to a request with this method.
    pub(crate) fn answer_body(&self, method: &str) -> Body {
        match (self.status(), self.length()) {
            (Some(100..=199 | 204 | 304), _) => Body::Length(0),
            _ if method == "HEAD" => Body::Length(0),
            _ if self.is_chunked() => Body::Chunked,
            (_, Some(length)) => Body::Length(length),
            _ => Body::ToEnd,
        }
    }
}

impl Body {
    /// Returns whether nothing is left of it.
    pub(crate) fn is_done(self) -> bool {
        self == Self::Length(0)
    }

    /// The next bytes; none if the connection ends.
    pub(crate) async fn next(&mut self, from: &mut Incoming) -> Option<Bytes> {
        match *self {
            Self::Length(rest) => {
                let piece = from.take_some(rest).await?;
                *self = Self::Length(rest - piece.len());
                Some(piece)
            }
            Self::ToEnd => from.take_some(usize::MAX).await,
            Self::Trailers => {
                let line = from.take_through(LINE_END).await?;
                if line == LINE_END {
                    *self = Self::Length(0);
                }
                Some(line)
            }
            Self::Chunked => {
                let line = from.take_through(LINE_END).await?;
                let digits = line.split(|byte| *byte == b';' || *byte == b'\r').next().unwrap_or_default();
                let digits = std::str::from_utf8(digits).ok()?;
                let length = usize::from_str_radix(digits.trim(), 16).ok()?;
                if length == 0 {
                    *self = Self::Trailers;
                    return Some(line);
                }
                let mut chunk = BytesMut::from(&line[..]);
                chunk.extend_from_slice(&from.take_exactly(length + LINE_END.len()).await?);
                Some(chunk.freeze())
            }
        }
    }

    /// The whole rest; none if the connection ends before.
    pub(crate) async fn whole(mut self, from: &mut Incoming) -> Option<Bytes> {
        let mut whole = BytesMut::new();
        while !self.is_done() {
            match self.next(from).await {
                Some(piece) => whole.extend_from_slice(&piece),
                None if self == Self::ToEnd => break,
                None => return None,
            }
        }
        Some(whole.freeze())
    }
}
