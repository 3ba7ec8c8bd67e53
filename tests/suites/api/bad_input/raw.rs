//! Requests whose bytes a client of HTTP wouldn't send.

use hearth_tests::{Answer, within};
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The head of a request with a JSON body. `framing`: the header with the length of the body, or another.
pub(super) fn head(method: &Method, path: &str, token: &str, framing: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: hearth\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         connection: close\r\n{framing}\r\n\r\n"
    )
}

/// Sends a head and a body, and receives the answer.
///
/// # Errors
/// Why there is none.
pub(super) async fn exchange(url: &str, head: &str, body: &[u8]) -> Result<Answer, String> {
    let text = |error: std::io::Error| format!("no answer: {error}");
    let mut stream = connect(url).await.map_err(text)?;
    stream.write_all(head.as_bytes()).await.map_err(text)?;
    stream.write_all(body).await.map_err(text)?;
    receive(&mut stream).await
}

/// Connects to the gateway at a URL.
///
/// # Errors
/// If it doesn't listen.
pub(super) async fn connect(url: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(url.trim_start_matches("http://")).await
}

/// Receives an answer up to the end of the connection.
///
/// # Errors
/// Why there is none.
pub(super) async fn receive(stream: &mut TcpStream) -> Result<Answer, String> {
    let mut bytes = Vec::new();
    // A connection that is reset behind the answer has still answered.
    let end = within("the end of an answer", stream.read_to_end(&mut bytes)).await;
    parse(&bytes).ok_or_else(|| format!("no answer: {end:?}, {:?}", String::from_utf8_lossy(&bytes)))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?;
    let headers: Option<HeaderMap> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        })
        .collect();
    let body = bytes[end + 4..].to_vec().into();
    Some(Answer { status: StatusCode::from_bytes(status.as_bytes()).ok()?, headers: headers?, body })
}
