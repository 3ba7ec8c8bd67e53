//! A client's connection: its requests one after the other, then perhaps a WebSocket.

use std::{future::pending, io, sync::Arc};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, tcp::OwnedWriteHalf},
    time::sleep,
};

use crate::{
    Exchange, Shared,
    frames::Frame,
    line::{Incoming, Outgoing},
    message::Head,
    rules::{Fault, MessageFault},
};

/// A connection to the server.
struct Upstream {
    from: Incoming,
    to: OwnedWriteHalf,
}

/// A request, read whole.
struct Request {
    head: Head,
    body: Bytes,
}

/// State of the client's connection after a request.
enum After {
    Open,
    Closed,
}

/// Serves a client until one side closes the connection.
pub(crate) async fn serve(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (reader, writer) = client.into_split();
    let mut from = Incoming::of_client(reader, Arc::clone(shared));
    let to = Outgoing::new(writer, Arc::clone(shared));
    let mut upstream = None;
    while let Some(request) = Request::read(&mut from).await {
        let fault = shared.state().rules.take(&request.name());
        let after = match fault {
            Some(fault) => serve_badly(shared, fault, &request, &mut upstream, &to).await?,
            None if request.head.is_upgrade() => {
                return upgrade(shared, &request, from, to).await;
            }
            None => exchange(shared, &request, &mut upstream, &to).await?,
        };
        if matches!(after, After::Closed) || request.head.closes() {
            break;
        }
    }
    to.close().await;
    Ok(())
}

async fn serve_badly(
    shared: &Shared,
    fault: Fault,
    request: &Request,
    upstream: &mut Option<Upstream>,
    to: &Outgoing,
) -> io::Result<After> {
    match fault {
        Fault::Double => {
            deliver(shared, &request.whole()).await?;
            exchange(shared, request, upstream, to).await
        }
        Fault::Late => {
            shared.state().rules.put_late(request.head.word(1), request.whole());
            request.log(shared, None);
            Ok(After::Closed)
        }
        Fault::CutRequest => {
            let mut upstream = connect(shared).await?;
            upstream.to.write_all(&request.head.bytes).await?;
            upstream.to.write_all(&request.body[..request.body.len() / 2]).await?;
            request.log(shared, None);
            Ok(After::Closed)
        }
        Fault::CutAnswer => {
            let status = deliver(shared, &request.whole()).await?;
            request.log(shared, status);
            Ok(After::Closed)
        }
        Fault::HalfOpen => {
            request.log(shared, None);
            pending().await
        }
        Fault::Refuse(status) => {
            request.log(shared, None);
            let answer =
                format!("HTTP/1.1 {status} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            to.send(answer.into()).await?;
            Ok(After::Closed)
        }
        Fault::Delay(time) => {
            sleep(time).await;
            exchange(shared, request, upstream, to).await
        }
    }
}

/// Sends a request over the connection to the server, and its answer to the client.
async fn exchange(
    shared: &Shared,
    request: &Request,
    upstream: &mut Option<Upstream>,
    to: &Outgoing,
) -> io::Result<After> {
    let Upstream { from, to: server } = match upstream {
        Some(upstream) => upstream,
        None => upstream.insert(connect(shared).await?),
    };
    server.write_all(&request.whole()).await?;
    let Some(head) = Head::read(from).await else {
        request.log(shared, None);
        return Ok(After::Closed);
    };
    request.log(shared, head.status());
    let late = shared.state().rules.take_late(request.head.word(1));
    for late in late {
        deliver(shared, &late).await?;
    }
    let mut body = head.answer_body(request.head.word(0));
    if shared.state().network.buffers_answers {
        let whole = body.whole(from).await.unwrap_or_default();
        to.send(head.bytes.clone()).await?;
        to.send(whole).await?;
    } else {
        to.send(head.bytes.clone()).await?;
        while !body.is_done() {
            match body.next(from).await {
                Some(piece) => to.send(piece).await?,
                None => return Ok(After::Closed),
            }
        }
    }
    Ok(if head.closes() || !body.is_done() { After::Closed } else { After::Open })
}

/// Delivers a request over a connection of its own, and reads its answer. Returns the status.
async fn deliver(shared: &Shared, request: &Bytes) -> io::Result<Option<u16>> {
    let Upstream { mut from, mut to } = connect(shared).await?;
    to.write_all(request).await?;
    let Some(head) = Head::read(&mut from).await else { return Ok(None) };
    head.answer_body("POST").whole(&mut from).await;
    Ok(head.status())
}

/// Passes a request for a WebSocket on, and then the frames of both sides.
async fn upgrade(shared: &Shared, request: &Request, from: Incoming, to: Outgoing) -> io::Result<()> {
    let Upstream { from: mut server, to: mut to_server } = connect(shared).await?;
    to_server.write_all(&request.whole()).await?;
    let Some(head) = Head::read(&mut server).await else { return Ok(()) };
    request.log(shared, head.status());
    to.send(head.bytes.clone()).await?;
    if head.status() != Some(101) {
        to.send(head.answer_body("GET").whole(&mut server).await.unwrap_or_default()).await?;
        to.close().await;
        return Ok(());
    }
    tokio::select! {
        passed = pass_client_frames(shared, from, to_server) => passed,
        passed = pass_server_frames(shared, server, &to) => {
            to.close().await;
            passed
        }
    }
}

async fn pass_client_frames(shared: &Shared, mut from: Incoming, mut to: OwnedWriteHalf) -> io::Result<()> {
    while let Some(frame) = Frame::read(&mut from).await {
        to.write_all(&frame.bytes).await?;
        shared.count_message(|counts| counts.from_client += u64::from(frame.is_message));
    }
    to.shutdown().await
}

async fn pass_server_frames(shared: &Shared, mut from: Incoming, to: &Outgoing) -> io::Result<()> {
    while let Some(frame) = Frame::read(&mut from).await {
        let fault = match frame.is_message {
            true => shared.state().rules.take_message(&frame.text),
            false => None,
        };
        match fault {
            Some(MessageFault::Drop) => (),
            Some(MessageFault::Double) => {
                to.send(frame.bytes.clone()).await?;
                to.send(frame.bytes).await?;
            }
            Some(MessageFault::Delay(time)) => {
                sleep(time).await;
                to.send(frame.bytes).await?;
            }
            None => to.send(frame.bytes).await?,
        }
        shared.count_message(|counts| counts.from_server += u64::from(frame.is_message));
    }
    Ok(())
}

async fn connect(shared: &Shared) -> io::Result<Upstream> {
    let address = shared.state().upstream;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, to) = stream.into_split();
    Ok(Upstream { from: Incoming::of_server(reader), to })
}

impl Request {
    async fn read(from: &mut Incoming) -> Option<Self> {
        let head = Head::read(from).await?;
        let body = head.request_body().whole(from).await?;
        Some(Self { head, body })
    }

    /// Method and path.
    fn name(&self) -> String {
        format!("{} {}", self.head.word(0), self.head.word(1))
    }

    fn whole(&self) -> Bytes {
        let mut whole = BytesMut::from(&self.head.bytes[..]);
        whole.extend_from_slice(&self.body);
        whole.freeze()
    }

    fn log(&self, shared: &Shared, status: Option<u16>) {
        let (method, path) = (self.head.word(0).to_owned(), self.head.word(1).to_owned());
        shared.log(Exchange { method, path, body: self.body.clone(), status });
    }
}
