//! What the threads of a proxy, and a filter before and after a change of its configuration, know together: the newest bundle and the
//! newest settings of each source. Without it a new configuration with an old bundle would bring back a policy that is superseded.

use crate::config::Source;
use crate::published::Published;
use policy_core::ContentHash;
use policy_core::signed::Release;
use proxy_wasm::hostcalls;
use zeroize::Zeroizing;

/// How often a thread tries to be heard while others write too.
const ATTEMPTS: usize = 4;

/// The newest release of a source that any thread accepted.
pub(super) fn release(what: Published, source: &Source) -> Option<Release> {
    read(&key("release", what, source)).0
}

/// The file that it came in, which may hold secrets.
pub(super) fn newest(what: Published, source: &Source) -> Option<Zeroizing<Vec<u8>>> {
    hostcalls::get_shared_data(&key("file", what, source)).ok()?.0.map(Zeroizing::new)
}

/// Keeps a release that was accepted, unless another thread was faster with a newer one.
pub(super) fn keep(what: Published, source: &Source, release: Release, file: &[u8]) {
    let name = key("release", what, source);
    let mut value = release.sequence.to_le_bytes().to_vec();
    value.extend_from_slice(&release.hash.0);
    for _ in 0..ATTEMPTS {
        let (known, version) = read(&name);
        if known.is_some_and(|known| known.sequence >= release.sequence) {
            return;
        }
        if hostcalls::set_shared_data(&name, Some(&value), version).is_ok() {
            // Who reads it verifies it again, so that nothing depends on both being written at one moment.
            hostcalls::set_shared_data(&key("file", what, source), Some(file), None).unwrap_or_default();
            return;
        }
    }
}

fn read(name: &str) -> (Option<Release>, Option<u32>) {
    let (value, version) = hostcalls::get_shared_data(name).unwrap_or_default();
    let release = value.as_deref().and_then(|bytes| {
        let (sequence, hash) = bytes.split_first_chunk()?;
        Some(Release { sequence: u64::from_le_bytes(*sequence), hash: ContentHash(hash.try_into().ok()?) })
    });
    (release, version)
}

fn key(part: &str, what: Published, source: &Source) -> String {
    format!("pbac {} {part} {} {}{}", what.name(), source.cluster, source.authority, source.path)
}
