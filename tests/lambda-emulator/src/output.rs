//! Last lines of a process' output.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

const MAX_LINES: usize = 60;

#[derive(Debug, Clone, Default)]
pub(crate) struct Output(Arc<Mutex<Printed>>);

#[derive(Debug, Default)]
struct Printed {
    lines: VecDeque<String>,
    /// Bytes since the last call of [`Output::take_bytes`], with the ends of the lines.
    bytes: usize,
}

impl Output {
    /// Stores the lines of a pipe until its other end is closed.
    pub(crate) async fn follow(self, pipe: impl AsyncRead + Unpin) {
        let mut segments = BufReader::new(pipe).split(b'\n');
        while let Ok(Some(line)) = segments.next_segment().await {
            let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            printed.bytes += line.len() + 1;
            let lines = &mut printed.lines;
            if lines.len() == MAX_LINES {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
        }
    }

    pub(crate) fn tail(&self) -> String {
        let printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        printed.lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn take_bytes(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes)
    }
}
