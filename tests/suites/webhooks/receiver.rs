//! Receivers of events: an endpoint, one that closes connections, and a mail server.

use std::sync::{Arc, Mutex};

use hearth_tests::within;
pub(crate) use hearth_tests::{WebhookReceiver as Receiver, WebhookReply as Reply};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Notify,
};

/// A server that closes the first connections without an answer, and then answers 204. Returns its address and the number of
/// connections.
pub(crate) async fn closing_server(closes: usize) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let count = Arc::new(Mutex::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let _ = stream.read(&mut [0; 1024]).await;
            let number = {
                let mut count = connections.lock().unwrap();
                *count += 1;
                *count
            };
            if number > closes {
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
        }
    });
    (url, count)
}

/// A small SMTP server (RFC 5321), which accepts every message.
#[derive(Debug, Clone)]
pub(crate) struct MailServer {
    pub(crate) port: u16,
    messages: Arc<Mutex<Vec<String>>>,
    arrived: Arc<Notify>,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, messages: Arc::default(), arrived: Arc::default() };
        let shared = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move { drop(shared.serve(stream).await) });
            }
        });
        server
    }

    async fn serve(&self, stream: tokio::net::TcpStream) -> std::io::Result<()> {
        use tokio::io::AsyncBufReadExt as _;
        let (reader, mut writer) = stream.into_split();
        let mut lines = tokio::io::BufReader::new(reader).lines();
        writer.write_all(b"220 mail.example\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let command = line.to_ascii_uppercase();
            if command.starts_with("DATA") {
                writer.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    message.push_str(&line);
                    message.push('\n');
                }
                self.messages.lock().unwrap().push(message);
                self.arrived.notify_waiters();
                writer.write_all(b"250 stored as 4711\r\n").await?;
            } else if command.starts_with("QUIT") {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            } else {
                writer.write_all(b"250 mail.example\r\n").await?;
            }
        }
        Ok(())
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    /// Waits until so many messages were received; returns all.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<String> {
        within(&format!("{count} emails"), async {
            loop {
                let arrived = self.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                let messages = self.messages();
                if messages.len() >= count {
                    return messages;
                }
                arrived.await;
            }
        })
        .await
    }
}
