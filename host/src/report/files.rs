//! Files as the command line reads and writes them: bounded, named in every error, never half written.

use std::fs::{File, Permissions};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::HostError;

/// Reads a text file of at most `most` bytes.
///
/// # Errors
///
/// When it cannot be read, is longer, or is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, HostError> {
    String::from_utf8(read_bytes(path, most)?).map_err(|error| {
        HostError::failed(format_args!(
            "`{}` is not UTF-8 text: byte {} is wrong",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
        .help("save the file as UTF-8")
    })
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
///
/// When it cannot be read or is longer.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, HostError> {
    let fail = |error: Error| HostError::file("read", path, &error);
    let file = File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells "longer" from "just as long", also where a file has no size of its own.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        Ok(bytes)
    } else {
        Err(HostError::failed(format_args!(
            "`{}` has more than {most} bytes, the most that is read",
            path.display()
        ))
        .help("check that it is the right file"))
    }
}

/// Writes the file whole or not at all: a new file in the same directory, synced, then renamed over the old one.
///
/// # Errors
///
/// When it cannot be written; the old file then stands as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    replace(path, bytes, |_| Ok(()))
}

fn replace(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<(), HostError> {
    let fail = |error: Error| HostError::file("write", path, &error);
    if path.is_dir() {
        return Err(fail(Error::from(ErrorKind::IsADirectory)));
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file =
        tempfile::Builder::new().permissions(mode_of(path)).tempfile_in(directory).map_err(fail)?;
    prepare(file.as_file()).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    // The rename itself is on disk only when the directory is.
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(fail)
}

/// As [`write_whole`], with exactly this mode, whatever the umask is and whatever was there before.
///
/// # Errors
///
/// As [`write_whole`].
pub fn write_whole_as(path: &Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
    replace(path, bytes, |file| file.set_permissions(Permissions::from_mode(mode)))
}

/// The mode of the file that is there, or else that of any new file, which the umask narrows.
fn mode_of(path: &Path) -> Permissions {
    std::fs::metadata(path).map_or_else(|_| Permissions::from_mode(0o666), |data| data.permissions())
}

/// The line and column, both from 1 and the column in characters, of the byte at `offset`.
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.char_indices().take_while(|(place, _)| *place < offset).map(|(_, letter)| letter);
    before.fold((1, 1), |(line, column): (usize, usize), letter| {
        if letter == '\n' { (line.saturating_add(1), 1) } else { (line, column.saturating_add(1)) }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn reads_no_more_than_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        let error = read_text(&path, 4).unwrap_err().to_string();
        assert!(error.ends_with("has more than 4 bytes, the most that is read"));
        assert!(read_bytes(Path::new("/dev/zero"), 1000).is_err());
    }

    #[test]
    fn writes_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        write_whole(&path, b"one").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(mode_of(&path).mode() & 0o777, 0o640);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write_whole(directory.path(), b"x").is_err());
        assert!(write_whole(&directory.path().join("no/such"), b"x").is_err());
    }

    #[test]
    fn the_mode_is_the_one_that_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        for mode in [0o644, 0o600, 0o666] {
            write_whole_as(&path, b"one", mode).unwrap();
            assert_eq!(mode_of(&path).mode() & 0o777, mode);
        }
    }

    #[test]
    fn counts_from_one() {
        assert_eq!(line_and_column("ab\ncé d", 0), (1, 1));
        assert_eq!(line_and_column("ab\ncé d", 3), (2, 1));
        assert_eq!(line_and_column("ab\ncé d", 6), (2, 3));
        assert_eq!(line_and_column("", 9), (1, 1));
    }
}
