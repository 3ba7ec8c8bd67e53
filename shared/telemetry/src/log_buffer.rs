//! The buffer of log lines, and the thread that writes them.
//!
//! Writing each line at once would wake a thread and take a system call or two, which costs more than formatting it. So
//! lines are collected in memory and written together, up to 100 ms later. A killed process loses the buffered lines; one
//! that ends normally, or panics, doesn't.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::log_files::{LINE_MAX_BYTES, LogFiles};

/// Time for which a line waits for further lines.
const WRITE_INTERVAL: Duration = Duration::from_millis(100);
/// Buffered bytes at which lines are written without waiting for more.
const WRITE_MIN_BYTES: usize = 64 << 10;
/// Bytes of buffered lines; lines beyond it are dropped.
const BUFFER_MAX_BYTES: usize = 4 << 20;
/// Time for which a flush waits for the disk.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The buffer. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogBuffer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Signals that there are lines to write, or that the writer is to end.
    filled: Condvar,
    /// Signals that lines have been written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Bytes that the writer has taken since the start, and bytes that it has written or dropped.
    taken_bytes: u64,
    written_bytes: u64,
    /// Write the lines without waiting for more: a caller waits for them.
    hurry: bool,
    ended: bool,
}

/// The handle of the writer thread. Dropping it writes the remaining lines and ends the thread.
#[derive(Debug)]
pub struct LogGuard {
    buffer: LogBuffer,
    writer: Option<JoinHandle<()>>,
}

impl LogBuffer {
    /// Starts the thread that writes lines to `files`.
    pub(crate) fn start(files: LogFiles) -> io::Result<(Self, LogGuard)> {
        let buffer = Self::default();
        let lines = buffer.clone();
        let writer = thread::Builder::new().name("log".to_owned()).spawn(move || lines.write_to(files))?;
        let guard = LogGuard { buffer: buffer.clone(), writer: Some(writer) };
        Ok((buffer, guard))
    }

    /// Appends a line, with its line break. A line that is too long is cut.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len() + line.len().min(LINE_MAX_BYTES) > BUFFER_MAX_BYTES {
            drop(state);
            return count_dropped(1);
        }
        let was_empty = state.lines.is_empty();
        match line.len() <= LINE_MAX_BYTES {
            true => state.lines.extend_from_slice(line),
            false => {
                state.lines.extend_from_slice(&line[..LINE_MAX_BYTES - 1]);
                state.lines.push(b'\n');
            }
        }
        let is_full = state.lines.len() >= WRITE_MIN_BYTES;
        drop(state);
        // The writer sleeps until there is a line, and then until there are many.
        if was_empty || is_full {
            self.0.filled.notify_one();
        }
    }

    /// Waits until all earlier lines are written, a second at most.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        let (end, deadline) = (state.taken_bytes + state.lines.len() as u64, Instant::now() + FLUSH_TIMEOUT);
        while state.written_bytes < end && !state.ended {
            state.hurry = true;
            self.0.filled.notify_one();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.written.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes lines until the guard is dropped.
    fn write_to(&self, mut files: LogFiles) {
        let mut lines = Vec::new();
        while self.take(&mut lines) {
            // On a full disk lines are dropped: waiting would fill the memory.
            if files.write_lines(&lines).is_err() {
                count_dropped(lines.split(|byte| *byte == b'\n').count() as u64 - 1);
            }
            lines.clear();
            // Frees the memory of a burst.
            lines.shrink_to(2 * WRITE_MIN_BYTES);
            let mut state = self.state();
            state.written_bytes = state.taken_bytes;
            drop(state);
            self.0.written.notify_all();
        }
        self.0.written.notify_all();
    }

    /// Waits for lines and moves them into `lines`, which is empty. Returns false when the buffer is closed and empty.
    fn take(&self, lines: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        while state.lines.is_empty() && !state.ended {
            state.hurry = false;
            state = self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = Instant::now() + WRITE_INTERVAL;
        while state.lines.len() < WRITE_MIN_BYTES && !state.hurry && !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.hurry = false;
        state.taken_bytes += state.lines.len() as u64;
        std::mem::swap(&mut state.lines, lines);
        !lines.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_dropped(lines: u64) {
    metrics::counter!("hearth_log_lines_dropped_total").increment(lines);
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.buffer.state().ended = true;
        self.buffer.0.filled.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// One call is one line.
#[cfg(test)]
impl io::Write for LogBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::logs::LogLimits;

    fn start(folder: &Path, max_bytes: u64) -> (LogBuffer, LogGuard) {
        let files = LogFiles::open(folder, LogLimits { max_bytes, max_files: 100 }).unwrap();
        LogBuffer::start(files).unwrap()
    }

    fn read(folder: &Path) -> String {
        fs::read_to_string(folder.join("hearth.log")).unwrap()
    }

    #[test]
    fn lines_are_in_the_file_after_a_flush_and_after_the_guard() {
        let folder = tempfile::tempdir().unwrap();
        let (buffer, guard) = start(folder.path(), 1 << 20);
        buffer.flush();
        buffer.push(b"first\n");
        buffer.flush();
        assert_eq!(read(folder.path()), "first\n");
        buffer.push(b"second\n");
        drop(guard);
        assert_eq!(read(folder.path()), "first\nsecond\n");
        // The writer has ended: the line is dropped, and a flush returns at once.
        buffer.push(b"late\n");
        buffer.flush();
        assert_eq!(read(folder.path()), "first\nsecond\n");
    }

    #[test]
    fn lines_of_many_threads_are_whole_in_files_of_bounded_size() {
        let folder = tempfile::tempdir().unwrap();
        let (buffer, guard) = start(folder.path(), 100_000);
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let buffer = buffer.clone();
                thread::spawn(move || {
                    for line in 0..5000 {
                        buffer.push(format!("{thread} {line} {}\n", "x".repeat(50)).as_bytes());
                        if line % 1000 == 0 {
                            buffer.flush();
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(guard);
        let mut lines = 0;
        for file in fs::read_dir(folder.path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(text.len() <= 100_000 && text.ends_with('\n'), "{}", text.len());
            assert!(text.lines().all(|line| line.ends_with(&"x".repeat(50))));
            lines += text.lines().count();
        }
        assert_eq!(lines, 20_000);
    }

    #[test]
    fn long_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (buffer, guard) = start(folder.path(), 1 << 20);
        buffer.push(&[b'x'; 100_000]);
        buffer.push(b"next\n");
        drop(guard);
        let lengths: Vec<_> = read(folder.path()).lines().map(str::len).collect();
        assert_eq!(lengths, [LINE_MAX_BYTES - 1, 4]);
    }
}
