//! Log files of a bounded size: `hearth.log`, and the older `hearth.1.log` to `hearth.N.log`.
//!
//! tracing-appender rotates by time alone, and anybody who can send requests can cause lines, so its files have no bounded
//! size. Rotation by size needs no clock, so a wrong clock loses nothing.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Limits of the size and the number of log files.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Maximum bytes of one file.
    pub max_bytes: u64,
    /// Maximum number of files, with the current one.
    pub max_files: u32,
}

/// Maximum length of a line. Log statements bound their fields; this bounds lines whose statement doesn't.
pub(crate) const LINE_MAX_BYTES: usize = 16 << 10;

/// The name of a new file until the older ones are renamed.
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
    /// Opens `hearth.log` in `folder` to append to it, and removes files above the limits, and files of earlier
    /// versions.
    pub(crate) fn open(folder: &Path, limits: LogLimits) -> io::Result<Self> {
        remove_surplus(folder, limits.max_files)?;
        let file = File::options().create(true).append(true).open(folder.join(name(0)))?;
        let size = file.metadata()?.len();
        Ok(Self { folder: folder.to_owned(), limits, file, size })
    }

    /// Creates a new file and renames each older one to the next number; the oldest is overwritten. The new file is
    /// created first: if the disk is too full for it, the older ones remain.
    fn rotate(&mut self) -> io::Result<()> {
        let next = self.folder.join(NEXT_NAME);
        let file = File::create(&next)?;
        for number in (1..self.limits.max_files).rev() {
            match fs::rename(self.folder.join(name(number - 1)), self.folder.join(name(number))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // If only one file is allowed, this overwrites it.
        fs::rename(next, self.folder.join(name(0)))?;
        (self.file, self.size) = (file, 0);
        Ok(())
    }

    /// Writes whole lines. On a full disk lines are dropped: waiting would delay the requests.
    pub(crate) fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut rest = lines;
        while !rest.is_empty() {
            let room = self.limits.max_bytes.saturating_sub(self.size);
            let fitting = whole_lines(rest, usize::try_from(room).unwrap_or(usize::MAX));
            if fitting == 0 && self.size > 0 {
                self.rotate()?;
                continue;
            }
            // A line that is larger than a file gets a file of its own.
            let (now, later) = rest.split_at(fitting.max(whole_line(rest)));
            self.write(now)?;
            rest = later;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // If the disk accepts only a part, that part counts.
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        if written < bytes.len() {
            self.file.write_all(&bytes[written..])?;
            self.size += (bytes.len() - written) as u64;
        }
        Ok(())
    }
}

/// The length of the first line, with its end.
fn whole_line(lines: &[u8]) -> usize {
    lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1)
}

/// The length of the whole lines within the first `max_bytes` bytes.
fn whole_lines(lines: &[u8], max_bytes: usize) -> usize {
    if lines.len() <= max_bytes {
        return lines.len();
    }
    lines[..max_bytes].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// The file's name by its age: 0 is the current one.
fn name(number: u32) -> String {
    match number {
        0 => "hearth.log".to_owned(),
        number => format!("hearth.{number}.log"),
    }
}

/// Removes log files whose number is too high, or that have no number.
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
            // Opened again each round: a restart appends to the file.
            let mut files = LogFiles::open(folder.path(), limits).unwrap();
            for line in 0..7 {
                files.write_lines(format!("{round:02} {line} {}\n", "x".repeat(24)).as_bytes()).unwrap();
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
    fn lines_of_one_write_are_spread_over_files() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LogLimits { max_bytes: 100, max_files: 9 };
        let mut files = LogFiles::open(folder.path(), limits).unwrap();
        let lines: String = (0..9).map(|line| format!("{line} {}\n", "x".repeat(37))).collect();
        files.write_lines(lines.as_bytes()).unwrap();
        files.write_lines(format!("{}\nlast\n", "y".repeat(200)).as_bytes()).unwrap();
        let texts = (0..7).rev().map(|file| fs::read_to_string(folder.path().join(name(file))).unwrap());
        let texts: Vec<_> = texts.collect();
        assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [80, 80, 80, 80, 40, 201, 5]);
        assert_eq!(texts[..5].concat(), lines);
    }

    #[test]
    fn lines_are_dropped_on_a_full_disk_and_later_ones_written() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LogLimits { max_bytes: 1 << 20, max_files: 2 };
        let mut files = LogFiles::open(folder.path(), limits).unwrap();
        let full = File::options().write(true).open("/dev/full");
        let Ok(full) = full else { return };
        let good = std::mem::replace(&mut files.file, full);
        assert_eq!(files.write_lines(b"lost\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        files.file = good;
        files.write_lines(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("hearth.log")).unwrap(), "kept\n");
    }
}
