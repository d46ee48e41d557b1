//! A backup as a file: written whole and private, opened only when it is what it says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Contents, FORMAT, Header, Part, copy_statement, hex};
use crate::migrate::backup::COPY_END;
use crate::postgres::Identifier;

/// Up to here every line of a header is read; a longer one belongs to some other file.
const MAX_HEADER_BYTES: u64 = 1 << 20;
const BUFFER_BYTES: usize = 1 << 16;
const FIRST_LINE: (&str, &str) = ("-- pbac backup, format ", " of everything after this line");

/// What is known of a backup before its content is.
pub(in crate::migrate) struct About {
    pub(in crate::migrate) schema: Identifier,
    pub(in crate::migrate) made_at: String,
    pub(in crate::migrate) server: i32,
    pub(in crate::migrate) policy: Option<String>,
    pub(in crate::migrate) policy_hash: Option<String>,
}

/// Writes a backup whose content lies in `body`, readable by its owner only from the first byte on, and never half: a
/// new file, synced, renamed to `path`, and the directory synced.
///
/// # Errors
///
/// When it cannot be written, or there is a file of this name.
pub(in crate::migrate) fn write(
    path: &Path,
    about: About,
    content: Contents,
    body: &mut (impl Read + Seek),
) -> Result<Header, BackupError> {
    let fail = |error: io::Error| BackupError { path: path.to_owned(), kind: BackupErrorKind::File(error) };
    let preamble = preamble(&about.schema);
    let header = Header {
        format: FORMAT,
        schema: about.schema.as_str().to_owned(),
        made_at: about.made_at,
        server: about.server,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        policy: about.policy,
        policy_hash: about.policy_hash,
        rows: content.rows(),
        preamble: length(preamble.as_bytes()),
        content,
    };
    let json = serde_json::to_string(&header).map_err(|error| fail(error.into()))?;
    let start = format!("-- {json}\n{preamble}");

    let mut digest = Sha256::new().chain_update(start.as_bytes());
    body.rewind()
        .and_then(|()| {
            copy(body, &mut |chunk| {
                digest.update(chunk);
                Ok(())
            })
        })
        .map_err(fail)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The library makes temporary files with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(fail)?;
    let first = format!("{}{FORMAT}, sha256 {}{}\n", FIRST_LINE.0, hex(digest.finalize()), FIRST_LINE.1);
    file.write_all(first.as_bytes()).and_then(|()| file.write_all(start.as_bytes())).map_err(fail)?;
    body.rewind().and_then(|()| copy(body, &mut |chunk| file.write_all(chunk))).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist_noclobber(path).map_err(|error| fail(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(fail)?;
    Ok(header)
}

/// What psql needs before the content; `pbac restore` sets the same itself and skips this.
fn preamble(schema: &Identifier) -> String {
    format!(
        "-- Restore it with `pbac restore --backup FILE`, or where none of these objects are in the way with\n\
         --   psql --no-psqlrc --single-transaction --set ON_ERROR_STOP=1 --file FILE\n\
         -- Nothing in here proves who wrote it: run it only when you know where it comes from.\n\
         CREATE SCHEMA IF NOT EXISTS {schema};\n\
         SET search_path = {schema}, pg_temp;\n\
         SET client_encoding = 'UTF8';\n\
         SET standard_conforming_strings = on;\n\
         SET datestyle = 'ISO, YMD';\n\
         SET timezone = 'UTC';\n\
         SET intervalstyle = 'postgres';\n\
         SET check_function_bodies = off;\n",
        schema = schema.quoted()
    )
}

/// An opened backup whose hash is right.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    file: BufReader<File>,
    header: Header,
    sha256: String,
    content_at: u64,
}

impl Backup {
    /// Opens a backup, reads all of it and checks it.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is no backup, has another format, or is not as it was written.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let fail = |kind| BackupError { path: path.to_owned(), kind };
        let damaged = |what: &str| fail(BackupErrorKind::Damaged(what.to_owned()));
        let io = |error| fail(BackupErrorKind::File(error));
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.is_dir() {
            return Err(io(io::ErrorKind::IsADirectory.into()));
        }
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        let first = read_line(&mut file, 256).map_err(io)?.ok_or_else(|| fail(BackupErrorKind::NoBackup))?;
        let (format, sha256) = first
            .strip_prefix(FIRST_LINE.0)
            .and_then(|rest| rest.strip_suffix(FIRST_LINE.1))
            .and_then(|rest| rest.split_once(", sha256 "))
            .ok_or_else(|| fail(BackupErrorKind::NoBackup))?;
        if format.parse() != Ok(FORMAT) {
            return Err(fail(BackupErrorKind::Format { found: format.to_owned() }));
        }
        let second_at = file.stream_position().map_err(io)?;
        let mut digest = Sha256::new();
        copy(&mut file, &mut |chunk| {
            digest.update(chunk);
            Ok(())
        })
        .map_err(io)?;
        if hex(digest.finalize()) != sha256 {
            return Err(damaged("its hash is not the one in its first line"));
        }
        let end = file.stream_position().map_err(io)?;
        file.seek(SeekFrom::Start(second_at)).map_err(io)?;
        let line = read_line(&mut file, MAX_HEADER_BYTES)
            .map_err(io)?
            .ok_or_else(|| damaged("its second line is no header"))?;
        let header: Header = line
            .strip_prefix("-- ")
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(|| damaged("its second line is no header"))?;
        let content_at = file.stream_position().map_err(io)?.checked_add(header.preamble);
        let Some(content_at) = content_at.filter(|at| content_end(*at, &header.content) == Some(end)) else {
            return Err(damaged("its parts are not as long as its header says"));
        };
        let sha256 = sha256.to_owned();
        Ok(Self { path: path.to_owned(), file, header, sha256, content_at })
    }

    /// What it says about itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The hash in its first line, as hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        content_end(self.content_at, &self.header.content).unwrap_or(u64::MAX)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Goes to the first part.
    pub(super) fn rewind(&mut self) -> Result<(), BackupError> {
        self.file.seek(SeekFrom::Start(self.content_at)).map(drop).map_err(|error| self.io(error))
    }

    /// Reads the next `bytes` bytes in one piece.
    pub(super) fn read(&mut self, bytes: u64) -> Result<Vec<u8>, BackupError> {
        let mut text = Vec::new();
        match self.file.by_ref().take(bytes).read_to_end(&mut text) {
            Ok(read) if u64::try_from(read) == Ok(bytes) => Ok(text),
            Ok(_) => Err(self.damaged("it ends too early")),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Reads the next `bytes` bytes and fails where they are not `wanted`.
    pub(super) fn expect(&mut self, wanted: &str) -> Result<(), BackupError> {
        if self.read(length(wanted.as_bytes()))? == wanted.as_bytes() {
            Ok(())
        } else {
            Err(self.damaged("its parts are not where its header says"))
        }
    }

    /// Goes past a table's rows and the two lines around them.
    pub(super) fn skip_rows(
        &mut self,
        table: &str,
        columns: &[String],
        bytes: u64,
    ) -> Result<(), BackupError> {
        let around =
            length(copy_statement(table, columns).as_bytes()).checked_add(length(COPY_END.as_bytes()));
        let skipped =
            around.and_then(|around| around.checked_add(bytes)).and_then(|all| i64::try_from(all).ok());
        let Some(skipped) = skipped else { return Err(self.damaged("a table is too long")) };
        self.file.seek_relative(skipped).map_err(|error| self.io(error))
    }

    /// Reads up to a buffer's worth of the next `left` bytes.
    pub(super) fn read_some(&mut self, left: u64) -> Result<Vec<u8>, BackupError> {
        let buffer = u64::try_from(BUFFER_BYTES).unwrap_or(u64::MAX);
        self.read(left.min(buffer))
    }

    pub(super) fn damaged(&self, what: &str) -> BackupError {
        BackupError { path: self.path.clone(), kind: BackupErrorKind::Damaged(what.to_owned()) }
    }

    fn io(&self, error: io::Error) -> BackupError {
        BackupError { path: self.path.clone(), kind: BackupErrorKind::File(error) }
    }
}

/// Where content of these parts ends when it begins at `at`.
fn content_end(at: u64, content: &Contents) -> Option<u64> {
    content.parts.iter().try_fold(at, |at, part| match part {
        Part::Statements { bytes } => at.checked_add(*bytes),
        Part::Rows { table, columns, bytes, .. } => at
            .checked_add(length(copy_statement(table, columns).as_bytes()))?
            .checked_add(*bytes)?
            .checked_add(length(COPY_END.as_bytes())),
    })
}

/// A line without its end; nothing when it is longer than `most` bytes or not UTF-8.
fn read_line(file: &mut BufReader<File>, most: u64) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    file.by_ref().take(most).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").and_then(|line| String::from_utf8(line.to_vec()).ok()))
}

fn copy(from: &mut impl Read, put: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(chunk) if read > 0 => put(chunk)?,
            _ => return Ok(()),
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A backup that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the backup `{}` {kind}", .path.display())]
pub struct BackupError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: BackupErrorKind,
}

/// What is wrong with a backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupErrorKind {
    /// The file cannot be read or written.
    #[error("cannot be read or written: {0}")]
    File(#[source] io::Error),
    /// Some other file.
    #[error("is none: its first line is not that of a pbac backup")]
    NoBackup,
    /// Written by another version.
    #[error("has format {found}, and this pbac reads format {FORMAT}")]
    Format {
        /// The format, as it is written there.
        found: String,
    },
    /// Not as it was written.
    #[error("is damaged: {0}")]
    Damaged(String),
}
