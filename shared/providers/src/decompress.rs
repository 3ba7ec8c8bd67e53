//! Decompresses bodies of responses (RFC 9110, section 8.4). The gateway doesn't request compression, since it delays a
//! stream, but proxies and some servers compress anyway.

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use futures::StreamExt as _;
use hearth_wire::ApiError;
use http::{HeaderMap, header::CONTENT_ENCODING};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::{
    answer_error::unreadable,
    transport::{BodyStream, HttpResponse},
};

/// Maximum number of content codings of one body.
const CODINGS_MAX_COUNT: usize = 2;
/// Size of one decompressed piece. The limits of an answer's size are checked after each.
const PIECE_MAX_BYTES: usize = 16 << 10;

/// Returns the body of a response, which is decompressed while it is read.
///
/// # Errors
/// `provider_error` for an unknown content coding.
pub(crate) fn body_of(response: HttpResponse) -> Result<BodyStream, ApiError> {
    let codings = codings(&response.headers)?;
    codings.iter().rev().try_fold(response.body, |body, coding| decompressed(body, coding))
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
            Err(unreadable(format!(
                "it is encoded as {shown:?}, which is none of gzip, deflate, br and zstd"
            )))
        }
    }
}

fn pieces(decoder: impl AsyncRead + Send + 'static) -> BodyStream {
    ReaderStream::with_capacity(decoder, PIECE_MAX_BYTES).boxed()
}

/// Compresses bytes with gzip.
#[cfg(test)]
pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use futures::FutureExt as _;
    use tokio::io::AsyncReadExt as _;

    let (mut encoder, mut compressed) =
        (async_compression::tokio::bufread::GzipEncoder::new(bytes), Vec::new());
    let read = encoder.read_to_end(&mut compressed).now_or_never();
    read.expect("bytes in memory need no waiting").expect("gzip fails by no bytes");
    compressed
}

#[cfg(test)]
mod tests {
    use std::io;

    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use bytes::Bytes;
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
        let response = HttpResponse { status: head.status, headers: head.headers, body };
        let body = body_of(response).map_err(io::Error::other)?;
        let pieces: Vec<Bytes> = body.try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn each_supported_coding_is_decompressed() {
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
    async fn unknown_coding_and_broken_body_are_errors() {
        let error = read(TEXT.to_vec(), "compress").await.unwrap_err();
        assert!(error.to_string().contains("compress"), "{error}");
        assert!(read(TEXT.to_vec(), "gzip,gzip,gzip").await.is_err());
        assert!(read(TEXT.to_vec(), "gzip").await.is_err());
        let mut cut = encoded(GzipEncoder::new(TEXT)).await;
        cut.truncate(cut.len() - 9);
        assert!(read(cut, "gzip").await.is_err());
    }
}
