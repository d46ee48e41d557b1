//! Ctrl-C and the request to end: what was not committed is rolled back, and a person is told how to go on.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::HostError;

/// Does the work, unless an interrupt or a request to end comes first. The work is dropped then: open transactions roll
/// back, servers of our own stop.
///
/// # Errors
///
/// That of the work; that signals cannot be listened for; or that it was interrupted, with how to go on.
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T, HostError>>) -> Result<T, HostError> {
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err(interrupted("interrupted")),
        _ = terminate.recv() => Err(interrupted("asked to end")),
    }
}

fn listen(kind: SignalKind) -> Result<Signal, HostError> {
    signal(kind).map_err(|error| HostError::failed(format_args!("cannot listen for signals: {error}")))
}

fn interrupted(how: &str) -> HostError {
    HostError::failed(format_args!("{how}; what was not committed is rolled back"))
        .help("run `pbac status` to see where things stand, then give the same command again")
}
