//! A server on this machine for one request: that by which the browser brings the authorization code (RFC 8252).

use std::time::Duration;

use anyhow::Context as _;
use hearth_domain::Secret;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use url::Url;

/// Time for a connection to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_MAX_BYTES: usize = 16 << 10;

/// The browser's answer.
pub(super) enum Callback {
    /// The user has signed in.
    Code {
        code: Secret,
        /// The issuer, if it names itself (RFC 9207).
        issuer: Option<String>,
    },
    /// The provider refuses.
    Error { code: String, description: Option<String> },
}

/// The server, with the address that the browser comes back to.
pub(super) struct Loopback {
    listener: TcpListener,
    redirect_uri: Url,
    /// The same as the provider has it: some compare it character by character.
    text: String,
}

impl Loopback {
    /// Listens on the port of the redirect URI, or any free one. The name `localhost` may be registered; the server is at the
    /// IPv4 address.
    pub(super) async fn bind(registered: &str) -> anyhow::Result<Self> {
        let mut redirect_uri: Url =
            registered.parse().context("the identity provider's redirect URI is no address")?;
        let port = redirect_uri.port().unwrap_or(0);
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.with_context(|| {
            format!("the port {port} of this machine, which the identity provider sends the browser to, isn't free")
        })?;
        let port = listener.local_addr()?.port();
        redirect_uri
            .set_port(Some(port))
            .map_err(|()| anyhow::anyhow!("{redirect_uri} can't have a port"))?;
        let has_path = registered.ends_with('/') || redirect_uri.path() != "/";
        let text = if has_path { redirect_uri.as_str() } else { redirect_uri.as_str().trim_end_matches('/') };
        Ok(Self { listener, text: text.to_owned(), redirect_uri })
    }

    /// The redirect URI, with the port.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.text
    }

    /// Waits for the request with this state. Requests with another one, which any page could send, are answered with an error,
    /// and ignored.
    pub(super) async fn callback(&self, state: &str) -> anyhow::Result<Callback> {
        let (sender, mut callbacks) = mpsc::channel(1);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted?;
                    let (path, state) = (self.redirect_uri.path().to_owned(), state.to_owned());
                    let sender = sender.clone();
                    // A browser may open a connection and send nothing: it must not hold up the others.
                    tokio::spawn(async move {
                        if let Some(callback) = serve(stream, &path, &state).await {
                            // A second callback has no receiver.
                            let _ = sender.try_send(callback);
                        }
                    });
                }
                Some(callback) = callbacks.recv() => return Ok(callback),
            }
        }
    }
}

async fn serve(mut stream: TcpStream, path: &str, state: &str) -> Option<Callback> {
    let target = tokio::time::timeout(HEAD_TIMEOUT, read_target(&mut stream)).await.ok()??;
    let callback = parse_target(&target, path, state);
    let (status, text) = match &callback {
        Some(Callback::Code { .. }) => ("200 OK", "You have signed in. You can close this page."),
        Some(Callback::Error { .. }) => {
            ("200 OK", "The sign-in has failed. The command line has the reason.")
        }
        None => ("400 Bad Request", "This address is for one sign-in, and this request isn't a part of it."),
    };
    let body = format!("<!doctype html><meta charset=\"utf-8\"><title>Hearth</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    // The browser may have gone; the code counts.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    callback
}

/// Reads a request's head, and returns the target of a `GET`.
async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_MAX_BYTES || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "GET").then_some(())?;
    words.next().map(str::to_owned)
}

/// Reads the callback from a request's target; none if it isn't that of this sign-in.
fn parse_target(target: &str, path: &str, state: &str) -> Option<Callback> {
    let url = Url::parse("http://127.0.0.1").ok()?.join(target).ok()?;
    let parameter =
        |name: &str| url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned());
    if url.path() != path || parameter("state").as_deref() != Some(state) {
        return None;
    }
    if let Some(code) = parameter("error") {
        return Some(Callback::Error { code, description: parameter("error_description") });
    }
    Some(Callback::Code { code: Secret::new(parameter("code")?), issuer: parameter("iss") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_a_callback_if_path_and_state_are_those_of_the_sign_in() {
        let parse = |target: &str| match parse_target(target, "/callback", "s1") {
            Some(Callback::Code { code, issuer }) => format!("{} {issuer:?}", code.expose()),
            Some(Callback::Error { code, description }) => format!("{code} {description:?}"),
            None => "none".to_owned(),
        };
        for (target, expected) in [
            ("/callback?code=a%20b&state=s1", "a b None"),
            ("/callback?state=s1&code=c&iss=https%3A%2F%2Fi", "c Some(\"https://i\")"),
            ("/callback?error=access_denied&state=s1", "access_denied None"),
            ("/callback?error=x&error_description=no+way&state=s1", "x Some(\"no way\")"),
            ("/callback?code=c&state=s2", "none"),
            ("/callback?code=c", "none"),
            ("/other?code=c&state=s1", "none"),
            ("/callback?state=s1", "none"),
            ("//callback?code=c&state=s1", "none"),
            ("*", "none"),
        ] {
            assert_eq!(parse(target), expected, "{target}");
        }
    }

    #[tokio::test]
    async fn wrong_state_is_answered_and_the_right_one_ends_the_wait() {
        let loopback = Loopback::bind("http://127.0.0.1/callback").await.unwrap();
        let address = loopback.redirect_uri().to_owned();
        assert!(address.starts_with("http://127.0.0.1:") && address.ends_with("/callback"), "{address}");
        let port = loopback.redirect_uri.port().unwrap();
        let browser = async {
            // A connection that sends nothing doesn't hold up the others.
            let silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut answers = Vec::new();
            for target in ["/callback?code=c&state=wrong", "/favicon.ico", "/callback?code=c&state=right"] {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream
                    .write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
                    .await
                    .unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answers.push(answer);
            }
            drop(silent);
            answers
        };
        let (callback, answers) = tokio::join!(loopback.callback("right"), browser);
        assert!(matches!(callback.unwrap(), Callback::Code { code, .. } if code.expose() == "c"));
        assert!(
            answers[0].starts_with("HTTP/1.1 400") && answers[1].starts_with("HTTP/1.1 400"),
            "{answers:?}"
        );
        assert!(answers[2].starts_with("HTTP/1.1 200") && answers[2].contains("signed in"), "{answers:?}");
    }

    #[tokio::test]
    async fn port_that_is_taken_is_named() {
        let taken = Loopback::bind("http://localhost").await.unwrap();
        assert!(!taken.redirect_uri().ends_with('/'), "{}", taken.redirect_uri());
        let error = Loopback::bind(taken.redirect_uri()).await.err().unwrap().to_string();
        assert!(error.contains("isn't free"), "{error}");
    }
}
