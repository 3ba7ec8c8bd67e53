//! Log files of a bounded size: `hearth.log`, and the older `hearth.1.log` to `hearth.N.log`.
//!
//! tracing-appender starts a new file by time alone, and anybody who can send requests can make lines. Rotation by size
//! needs no clock, so a wrong one loses nothing.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// How large log files may become, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Bytes of one file.
    pub max_bytes: u64,
    /// Files, the current one among them.
    pub max_files: u32,
}

/// The longest line. What a line holds is bounded where it is logged; this bounds what was forgotten there.
const LINE_MAX_BYTES: usize = 16 << 10;

/// The name of a file that is being begun.
const NEXT_NAME: &str = "hearth.next.log";

/// A writer of whole lines.
#[derive(Debug)]
pub(crate) struct LogFiles {
    folder: PathBuf,
    limits: LogLimits,
    file: File,
    size: u64,
}

impl LogFiles {
    /// Opens `hearth.log` in `folder` and goes on at its end; removes files above the limits, those of earlier versions
    /// among them.
    pub(crate) fn open(folder: &Path, limits: LogLimits) -> io::Result<Self> {
        remove_surplus(folder, limits.max_files)?;
        let file = File::options().create(true).append(true).open(folder.join(name(0)))?;
        let size = file.metadata()?.len();
        Ok(Self { folder: folder.to_owned(), limits, file, size })
    }

    /// Begins a new file and gives each older one the next number; the oldest is overwritten. The new file comes first:
    /// on a disk that has no room for it, the older ones stay.
    fn rotate(&mut self) -> io::Result<()> {
        let next = self.folder.join(NEXT_NAME);
        let file = File::create(&next)?;
        for number in (1..self.limits.max_files).rev() {
            match fs::rename(self.folder.join(name(number - 1)), self.folder.join(name(number))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // With one file alone that is still there, and is overwritten.
        fs::rename(next, self.folder.join(name(0)))?;
        (self.file, self.size) = (file, 0);
        Ok(())
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > self.limits.max_bytes {
            self.rotate()?;
        }
        // What was written of a line counts, if the disk took only a part.
        let written = self.file.write(line)?;
        self.size += written as u64;
        if written < line.len() {
            self.file.write_all(&line[written..])?;
            self.size += (line.len() - written) as u64;
        }
        Ok(())
    }
}

/// One call is one line. A line that can't be written, on a full disk, is dropped: waiting would hold up the requests.
impl Write for LogFiles {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() <= LINE_MAX_BYTES {
            self.write_line(line)?;
        } else {
            let cut = [&line[..LINE_MAX_BYTES - 1], b"\n"].concat();
            self.write_line(&cut)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file's name by its age: 0 is the current one.
fn name(number: u32) -> String {
    match number {
        0 => "hearth.log".to_owned(),
        number => format!("hearth.{number}.log"),
    }
}

/// Removes log files whose number is too high or which have none.
fn remove_surplus(folder: &Path, max_files: u32) -> io::Result<()> {
    let wanted: Vec<String> = (0..max_files).map(name).collect();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("hearth.") && name.ends_with(".log") && !wanted.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_stay_within_their_size_and_number() {
        let folder = tempfile::tempdir().unwrap();
        for stale in ["hearth.2026-11-22.log", "hearth.7.log", "other.log"] {
            fs::write(folder.path().join(stale), "x").unwrap();
        }
        let limits = LogLimits { max_bytes: 100, max_files: 3 };
        for round in 0..50 {
            // Opened anew now and then: a restart goes on where it was.
            let mut files = LogFiles::open(folder.path(), limits).unwrap();
            for line in 0..7 {
                files.write_all(format!("{round:02} {line} {}\n", "x".repeat(24)).as_bytes()).unwrap();
            }
        }
        assert_eq!(names(folder.path()), ["hearth.1.log", "hearth.2.log", "hearth.log", "other.log"]);
        for name in ["hearth.1.log", "hearth.2.log", "hearth.log"] {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(
                text.len() <= 100 && text.ends_with('\n') && text.lines().all(|line| line.len() == 29),
                "{text}"
            );
        }
        let newest = fs::read_to_string(folder.path().join("hearth.log")).unwrap();
        assert!(newest.lines().last().unwrap().starts_with("49 6"), "{newest}");
    }

    #[test]
    fn long_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut files =
            LogFiles::open(folder.path(), LogLimits { max_bytes: 1 << 20, max_files: 1 }).unwrap();
        files.write_all(&[b'x'; 100_000]).unwrap();
        files.write_all(b"next\n").unwrap();
        let text = fs::read_to_string(folder.path().join("hearth.log")).unwrap();
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [LINE_MAX_BYTES - 1, 4]);
    }

    #[test]
    fn lines_that_no_disk_takes_are_dropped_and_later_ones_written() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LogLimits { max_bytes: 1 << 20, max_files: 2 };
        let mut files = LogFiles::open(folder.path(), limits).unwrap();
        let full = File::options().write(true).open("/dev/full");
        let Ok(full) = full else { return };
        let good = std::mem::replace(&mut files.file, full);
        assert_eq!(files.write(b"lost\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        files.file = good;
        files.write_all(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("hearth.log")).unwrap(), "kept\n");
    }
}
