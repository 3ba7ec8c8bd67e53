//! The two directions of a connection, with the delay and the rate of the network.

use std::{io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::OwnedWriteHalf,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::Shared;

/// Maximum bytes that are read at a time.
const PIECE_MAX_BYTES: usize = 16 << 10;
/// The same where the rate is limited, so that bytes arrive evenly.
const LIMITED_PIECE_MAX_BYTES: usize = 512;
/// Maximum number of pieces on their way.
const PIECES_MAX_COUNT: usize = 1024;

/// Bytes that arrive.
#[derive(Debug)]
pub(crate) struct Incoming {
    pieces: mpsc::Receiver<(Instant, Bytes)>,
    buffer: BytesMut,
    reading: JoinHandle<()>,
}

impl Incoming {
    /// Bytes of the client: late, and as fast as the network allows.
    pub(crate) fn of_client(reader: impl AsyncRead + Unpin + Send + 'static, shared: Arc<Shared>) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_MAX_COUNT);
        let reading = tokio::spawn(read_client(reader, shared, sender));
        Self { pieces, buffer: BytesMut::new(), reading }
    }

    /// Bytes of the server, which is near.
    pub(crate) fn of_server(mut reader: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_MAX_COUNT);
        let reading = tokio::spawn(async move {
            while let Ok(Some(piece)) = read_piece(&mut reader, PIECE_MAX_BYTES).await {
                if sender.send((Instant::now(), piece)).await.is_err() {
                    return;
                }
            }
        });
        Self { pieces, buffer: BytesMut::new(), reading }
    }

    /// Waits for further bytes. Returns false at the end.
    async fn fill(&mut self) -> bool {
        let Some((due, piece)) = self.pieces.recv().await else { return false };
        sleep_until(due).await;
        self.buffer.extend_from_slice(&piece);
        true
    }

    /// The bytes up to and with `end`; none if the connection ends before.
    pub(crate) async fn take_through(&mut self, end: &[u8]) -> Option<Bytes> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Some(self.buffer.split_to(at + end.len()).freeze());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// At least one byte and at most `limit`; none at the end.
    pub(crate) async fn take_some(&mut self, limit: usize) -> Option<Bytes> {
        if self.buffer.is_empty() && !self.fill().await {
            return None;
        }
        let length = self.buffer.len().min(limit);
        Some(self.buffer.split_to(length).freeze())
    }

    /// Exactly `length` bytes; none if the connection ends before.
    pub(crate) async fn take_exactly(&mut self, length: usize) -> Option<Bytes> {
        while self.buffer.len() < length {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.buffer.split_to(length).freeze())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Bytes to the client, which arrive late.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pieces: Option<mpsc::Sender<(Instant, Bytes)>>,
    writing: JoinHandle<()>,
    shared: Arc<Shared>,
}

impl Outgoing {
    pub(crate) fn new(mut writer: OwnedWriteHalf, shared: Arc<Shared>) -> Self {
        let (sender, mut pieces) = mpsc::channel::<(Instant, Bytes)>(PIECES_MAX_COUNT);
        let writing = tokio::spawn(async move {
            while let Some((due, piece)) = pieces.recv().await {
                sleep_until(due).await;
                if writer.write_all(&piece).await.is_err() {
                    return;
                }
            }
            let _ = writer.shutdown().await;
        });
        Self { pieces: Some(sender), writing, shared }
    }

    /// Sends bytes.
    pub(crate) async fn send(&self, piece: Bytes) -> io::Result<()> {
        let due = Instant::now() + self.shared.state().network.round_trip / 2;
        let sent = match &self.pieces {
            Some(pieces) => pieces.send((due, piece)).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    /// Closes the connection after what was sent.
    pub(crate) async fn close(mut self) {
        self.pieces = None;
        let _ = (&mut self.writing).await;
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.writing.abort();
    }
}

async fn read_client(
    mut reader: impl AsyncRead + Unpin,
    shared: Arc<Shared>,
    pieces: mpsc::Sender<(Instant, Bytes)>,
) {
    let mut handshake = shared.state().network.round_trip;
    loop {
        let is_limited = shared.state().network.upload_bytes_per_second.is_some();
        let limit = if is_limited { LIMITED_PIECE_MAX_BYTES } else { PIECE_MAX_BYTES };
        let Ok(Some(piece)) = read_piece(&mut reader, limit).await else { return };
        // It may have changed while the connection was silent.
        let network = shared.state().network;
        if let Some(rate) = network.upload_bytes_per_second {
            sleep(Duration::from_secs_f64(piece.len() as f64 / f64::from(rate.max(1)))).await;
        }
        let due = Instant::now() + network.round_trip / 2 + handshake;
        handshake = Duration::ZERO;
        if pieces.send((due, piece)).await.is_err() {
            return;
        }
    }
}

/// Reads the next bytes; none at the end.
async fn read_piece(reader: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Option<Bytes>> {
    let mut piece = BytesMut::zeroed(limit);
    let length = reader.read(&mut piece).await?;
    piece.truncate(length);
    Ok((length > 0).then(|| piece.freeze()))
}
