//! Decompresses the bodies of answers (RFC 9110, section 8.4). The gateway asks for none to be compressed, since that
//! delays a stream, but proxies and some servers do it unasked.

use std::io;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use hearth_wire::ApiError;
use http::{HeaderMap, header::CONTENT_ENCODING};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::{dialect::unreadable, transport::HttpAnswer};

/// The most codings of one body, each on top of another.
const CODINGS_MAX_COUNT: usize = 2;
/// How much is decompressed at once. The limits of an answer's size are looked at after each piece.
const PIECE_BYTES: usize = 16 << 10;

/// The pieces of a body as they were before they were compressed.
pub(crate) type BodyStream = BoxStream<'static, io::Result<Bytes>>;

/// The body of an answer, decompressed while it comes.
///
/// # Errors
/// `provider_error` for a coding that isn't known.
pub(crate) fn body_of(answer: HttpAnswer) -> Result<BodyStream, ApiError> {
    let codings = codings(&answer.headers)?;
    codings.iter().rev().try_fold(answer.body, |body, coding| decompressed(body, coding))
}

fn codings(headers: &HeaderMap) -> Result<Vec<String>, ApiError> {
    let values = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings = values.flat_map(|value| value.split(',')).map(|coding| coding.trim().to_ascii_lowercase());
    let codings: Vec<String> = codings.filter(|coding| !matches!(coding.as_str(), "" | "identity")).collect();
    if codings.len() > CODINGS_MAX_COUNT {
        return Err(unreadable(format!("it is encoded {} times", codings.len())));
    }
    Ok(codings)
}

fn decompressed(body: BodyStream, coding: &str) -> Result<BodyStream, ApiError> {
    let body = StreamReader::new(body);
    match coding {
        "gzip" | "x-gzip" => {
            let mut decoder = GzipDecoder::new(body);
            decoder.multiple_members(true);
            Ok(pieces(decoder))
        }
        "deflate" => Ok(pieces(ZlibDecoder::new(body))),
        "br" => Ok(pieces(BrotliDecoder::new(body))),
        "zstd" => {
            let mut decoder = ZstdDecoder::new(body);
            decoder.multiple_members(true);
            Ok(pieces(decoder))
        }
        other => {
            let shown: String = other.chars().take(40).collect();
            Err(unreadable(format!("it is encoded as {shown:?}; known are gzip, deflate, br and zstd")))
        }
    }
}

fn pieces(decoder: impl AsyncRead + Send + 'static) -> BodyStream {
    ReaderStream::with_capacity(decoder, PIECE_BYTES).boxed()
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use futures::{TryStreamExt as _, stream};
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const TEXT: &[u8] = b"data: {\"a\":1}\n\n";

    async fn encoded(encoder: impl AsyncRead) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::pin::pin!(encoder).read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    async fn read(bytes: Vec<u8>, coding: &str) -> io::Result<Vec<u8>> {
        let response = http::Response::builder().header(CONTENT_ENCODING, coding);
        // Cut into single bytes.
        let pieces = bytes.into_iter().map(|byte| Ok::<_, io::Error>(Bytes::copy_from_slice(&[byte])));
        let (head, body) = response.body(stream::iter(pieces).boxed()).unwrap().into_parts();
        let answer = HttpAnswer { status: head.status, headers: head.headers, body };
        let body = body_of(answer).map_err(io::Error::other)?;
        let pieces: Vec<Bytes> = body.try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn every_known_coding_is_decompressed() {
        let cases = [
            ("gzip", encoded(GzipEncoder::new(TEXT)).await),
            ("X-GZip", encoded(GzipEncoder::new(TEXT)).await),
            ("deflate", encoded(ZlibEncoder::new(TEXT)).await),
            ("br", encoded(BrotliEncoder::new(TEXT)).await),
            ("zstd", encoded(ZstdEncoder::new(TEXT)).await),
            ("identity", TEXT.to_vec()),
            ("br, gzip", encoded(GzipEncoder::new(&*encoded(BrotliEncoder::new(TEXT)).await)).await),
        ];
        for (coding, bytes) in cases {
            assert_eq!(read(bytes, coding).await.unwrap(), TEXT, "{coding}");
        }
    }

    #[tokio::test]
    async fn an_unknown_coding_and_a_broken_body_are_errors() {
        let error = read(TEXT.to_vec(), "compress").await.unwrap_err();
        assert!(error.to_string().contains("compress"), "{error}");
        assert!(read(TEXT.to_vec(), "gzip,gzip,gzip").await.is_err());
        assert!(read(TEXT.to_vec(), "gzip").await.is_err());
        let mut cut = encoded(GzipEncoder::new(TEXT)).await;
        cut.truncate(cut.len() - 9);
        assert!(read(cut, "gzip").await.is_err());
    }
}
