//! Programs that pbac starts: each in a process group of its own, with a time-out, its output bounded.

pub mod check;

use std::io::{Error, ErrorKind};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long the end of a program is waited for once it was killed.
const KILLED: Duration = Duration::from_millis(200);
/// How long output of a program that has ended is waited for: it lies in the pipe already.
const REST_OF_OUTPUT: Duration = Duration::from_secs(10);

/// What a program printed, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// How it ended; nothing when it did not in time and was killed with all it had started.
    pub status: Option<ExitStatus>,
    /// What it printed on standard output, whole.
    pub stdout: Vec<u8>,
    /// The end of what it printed on standard error.
    pub stderr: Vec<u8>,
}

impl Captured {
    /// Whether it ended in time and with status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// How it ended, in words: `status 1`, `signal 9`, `no end in time`.
    #[must_use]
    pub fn ending(&self) -> String {
        use std::os::unix::process::ExitStatusExt;
        match self.status.map(|status| (status.code(), status.signal())) {
            Some((Some(code), _)) => format!("status {code}"),
            Some((None, Some(signal))) => format!("signal {signal}"),
            Some((None, None)) => "an unknown status".to_owned(),
            None => "no end in time".to_owned(),
        }
    }
}

/// Runs a program to its end with `input` on its standard input, and keeps what it prints: up to `most` bytes of each
/// stream.
///
/// # Errors
///
/// When it cannot be started, or prints more than `most` bytes on standard output.
pub async fn capture(
    mut command: Command,
    input: &[u8],
    limit: Duration,
    most: usize,
) -> Result<Captured, Error> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let child = prepare(&mut command).stdin(stdin).spawn()?;
    let (stdout, stderr) = (Sink::new(Keep::Beginning, most), Sink::new(Keep::End, most));
    let ended = supervise(child, input.to_vec(), limit, REST_OF_OUTPUT, [&stdout, &stderr]).await;
    let (stdout, stderr) = (stdout.take(), stderr.take());
    if stdout.cut {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!("it printed more than {most} bytes, the most that is read"),
        ));
    }
    Ok(Captured { status: ended.transpose()?, stdout: stdout.bytes, stderr: stderr.bytes })
}

/// A group of its own, so that a time-out ends whatever it has started too; output through pipes.
fn prepare(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0)
}

/// Waits for the program's end; nothing when it did not end in time.
async fn supervise(
    mut child: Child,
    input: Vec<u8>,
    limit: Duration,
    rest: Duration,
    [stdout, stderr]: [&Sink; 2],
) -> Option<std::io::Result<ExitStatus>> {
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let readers = [
        child.stdout.take().map(|output| tokio::spawn(collect(output, stdout.clone()))),
        child.stderr.take().map(|output| tokio::spawn(collect(output, stderr.clone()))),
    ];
    let writer = child.stdin.take().map(|mut stdin| {
        tokio::spawn(async move {
            // A program that does not read to the end says by its status whether that is right.
            let _ = stdin.write_all(&input).await;
        })
    });
    let ended = timeout(limit, child.wait()).await.ok();
    if ended.is_some() {
        // What a restart leaves running is the application.
        group.0 = None;
    } else {
        drop(group);
        // Killed: it ends now, and its process is taken off the system's list.
        let _ = timeout(KILLED, child.wait()).await;
    }
    if let Some(writer) = writer {
        writer.abort();
    }
    for reader in readers.into_iter().flatten() {
        let stop = reader.abort_handle();
        if timeout(rest, reader).await.is_err() {
            stop.abort();
        }
    }
    ended
}

/// A process group that is killed when this is dropped, also when an interrupt drops everything.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself in the meantime.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Which part of an output is kept when not all of it is.
#[derive(Clone, Copy, Debug)]
enum Keep {
    Beginning,
    End,
}

/// Where output goes, from one stream or from both.
#[derive(Clone, Debug)]
struct Sink(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    keep: Keep,
    most: usize,
    /// Whether something was left out.
    cut: bool,
}

impl Sink {
    fn new(keep: Keep, most: usize) -> Self {
        Self(Arc::new(Mutex::new(Kept { bytes: Vec::new(), keep, most, cut: false })))
    }

    fn add(&self, chunk: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes.extend_from_slice(chunk);
        let surplus = kept.bytes.len().saturating_sub(kept.most);
        if surplus > 0 {
            kept.cut = true;
            match kept.keep {
                Keep::Beginning => {
                    let most = kept.most;
                    kept.bytes.truncate(most);
                }
                Keep::End => drop(kept.bytes.drain(..surplus)),
            }
        }
    }

    /// What was kept so far; nothing stays.
    fn take(&self) -> Kept {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Kept { bytes: std::mem::take(&mut kept.bytes), ..*kept }
    }
}

async fn collect(mut output: impl AsyncRead + Unpin, sink: Sink) {
    let mut buffer = [0; 4096];
    while let Ok(read) = output.read(&mut buffer).await {
        match buffer.get(..read) {
            Some(chunk) if read > 0 => sink.add(chunk),
            _ => return,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn input_goes_in_and_both_outputs_come_back() {
        let big = vec![b'x'; 300_000];
        let captured = capture(shell("cat; echo words >&2; exit 3"), &big, LONG, 1 << 20).await.unwrap();
        assert_eq!(captured.stdout, big);
        assert_eq!(captured.stderr, b"words\n");
        assert_eq!((captured.succeeded(), captured.ending().as_str()), (false, "status 3"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_is_not_waited_for() {
        let big = vec![b'x'; 300_000];
        assert!(capture(shell("exit 0"), &big, LONG, 100).await.unwrap().succeeded());
    }

    #[tokio::test]
    async fn too_much_output_is_an_error_and_never_half_of_it() {
        let error = capture(shell("head -c 101 /dev/zero"), b"", LONG, 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(capture(shell("head -c 100 /dev/zero"), b"", LONG, 100).await.unwrap().succeeded());
    }

    #[tokio::test]
    async fn says_when_it_was_killed() {
        let captured = capture(shell("kill -9 $$"), b"", LONG, 100).await.unwrap();
        assert_eq!(captured.ending(), "signal 9");
        let captured = capture(shell("sleep 30"), b"", Duration::from_millis(100), 100).await.unwrap();
        assert_eq!((captured.status, captured.ending().as_str()), (None, "no end in time"));
    }
}
