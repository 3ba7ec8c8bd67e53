//! Bodies over the limit.

use futures::StreamExt as _;
use hearth_tests::{Answer, Home, check_documented};
use tokio::io::AsyncWriteExt as _;

use super::{
    bodies::takes_json,
    raw,
    table::{Row, Table},
};

const OVERSIZE_BYTES: usize = 11 << 20;
const PIECE_BYTES: usize = 1 << 20;
/// Requests at once whose length is declared: they take no memory, and wait for the remainder of the body.
const DECLARED_AT_ONCE: usize = 32;
/// Requests at once without a length. Each takes memory of the limit's size.
const CHUNKED_AT_ONCE: usize = 8;

#[tokio::test]
async fn body_over_the_limit_is_refused_on_every_route() {
    let table = Table::start(takes_json).await;
    let home = &table.home;
    let declared = table.rows().iter().map(async |row| (row, declared(home, row).await));
    let answers: Vec<_> = futures::stream::iter(declared).buffer_unordered(DECLARED_AT_ONCE).collect().await;
    assert!(answers.len() > 80, "{}", answers.len());
    let chunked = table.rows().iter().map(async |row| (row, chunked(home, row).await));
    let more: Vec<_> = futures::stream::iter(chunked).buffer_unordered(CHUNKED_AT_ONCE).collect().await;
    for (row, answer) in answers.into_iter().chain(more) {
        let answer = answer.unwrap_or_else(|problem| panic!("{}: {problem}", row.operation));
        let Answer { status, headers, body } = &answer;
        check_documented(&row.operation.method, &row.path(), *status, headers, Some(body));
        let body = String::from_utf8_lossy(body).to_lowercase();
        assert_eq!(answer.status, 413, "{}: {body}", row.operation);
        assert!(body.contains("payload_too_large") && body.contains("10 mb"), "{}: {body}", row.operation);
    }
    assert_eq!(home.client().get("/health").await.status, 200);
}

/// The answer to a body whose length is declared, of which a part is sent.
async fn declared(home: &Home, row: &Row) -> Result<Answer, String> {
    let framing = format!("content-length: {OVERSIZE_BYTES}");
    let head = raw::head(&row.operation.method, &row.path(), &row.token, &framing);
    raw::exchange(&home.url, &head, b"{\"a\": \"").await
}

/// The answer to a body without a length, in chunks.
async fn chunked(home: &Home, row: &Row) -> Result<Answer, String> {
    let mut stream = raw::connect(&home.url).await.map_err(|error| error.to_string())?;
    let head = raw::head(&row.operation.method, &row.path(), &row.token, "transfer-encoding: chunked");
    let piece = [format!("{PIECE_BYTES:x}\r\n").as_bytes(), &vec![b' '; PIECE_BYTES], b"\r\n"].concat();
    // The gateway may close the connection before the last chunk.
    let mut sent = stream.write_all(head.as_bytes()).await;
    for _ in 0..OVERSIZE_BYTES / PIECE_BYTES {
        if sent.is_ok() {
            sent = stream.write_all(&piece).await;
        }
    }
    if sent.is_ok() {
        sent = stream.write_all(b"0\r\n\r\n").await;
    }
    raw::receive(&mut stream).await.map_err(|problem| format!("{problem}; sent: {sent:?}"))
}
