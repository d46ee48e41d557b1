//! Files that are mounted on their own, as Docker mounts a single file: read from `/proc`, as far as there is one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Somebody else's view of a file, through a mount of that file alone. When another file takes its place, the old one
/// stays there until the mount is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedElsewhere {
    /// A process that sees it so.
    pub process: u32,
    /// Where it is for that process.
    pub path: PathBuf,
}

/// More than this is read of no table of mounts.
const MAX_TABLE: u64 = 4 << 20;

/// Whether the file is a mount point, so that no other can take its place.
pub(super) fn is_mount_point(path: &Path) -> bool {
    table(Path::new("/proc/self/mountinfo")).iter().any(|mount| mount.at == path)
}

/// Who sees the file through a mount of its own: for each mount, one process. Tables that may not be read are passed over.
pub(super) fn mounted_elsewhere(path: &Path) -> Vec<MountedElsewhere> {
    let own = table(Path::new("/proc/self/mountinfo"));
    let Some(place) = place_in_filesystem(&own, path) else {
        return Vec::new();
    };
    // Processes of one container share its mounts; those of another have mounts of their own, at the same path or not.
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for mount in table(&process.path().join("mountinfo")) {
            if is_of(&mount, &place) && seen.insert(mount.id) {
                found.push(MountedElsewhere { process: id, path: mount.at });
            }
        }
    }
    found
}

/// A line of a table of mounts: what of which file system is where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// Its number, which no other mount of the system has.
    id: u64,
    device: String,
    root: PathBuf,
    at: PathBuf,
}

/// The file system of a file and its path there, by the last mount whose point lies above it.
fn place_in_filesystem(mounts: &[Mount], path: &Path) -> Option<Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.at));
    let mount = above.max_by_key(|mount| mount.at.components().count())?;
    let rest = path.strip_prefix(&mount.at).ok()?;
    let root = if rest.as_os_str().is_empty() { mount.root.clone() } else { mount.root.join(rest) };
    Some(Mount { root, at: path.to_owned(), ..mount.clone() })
}

/// Whether it is a mount of that file, or of one that had its place before.
fn is_of(mount: &Mount, place: &Mount) -> bool {
    let root = mount.root.to_str().map(|root| root.strip_suffix("//deleted").unwrap_or(root));
    mount.device == place.device && root.map(Path::new) == Some(&place.root)
}

fn table(path: &Path) -> Vec<Mount> {
    let mut text = String::new();
    // A process may be gone by now, or not to be looked at.
    match File::open(path).and_then(|file| file.take(MAX_TABLE).read_to_string(&mut text)) {
        Ok(_) => text.lines().filter_map(line).collect(),
        Err(_) => Vec::new(),
    }
}

/// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS…`, as proc_pid_mountinfo(5) has it.
fn line(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let mut fields = fields.skip(1);
    let (device, root, at) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Mount { id, device: device.to_owned(), root: unescape(root).into(), at: unescape(at).into() })
}

/// Blanks, newlines and backslashes are written as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, piece.get(3..)) {
            (Some(code), Some(rest)) if code.is_ascii() => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(piece);
            }
        }
    }
    plain
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
30 22 254:2 /data /srv rw - ext4 /dev/vda2 rw
31 30 254:2 /data/shop/.env /srv/other/.env rw - ext4 /dev/vda2 rw
32 30 254:2 /data/shop/.env//deleted /srv/third/a\\040b rw - ext4 /dev/vda2 rw
33 30 254:9 /data/shop/.env /srv/fourth rw - ext4 /dev/vdb rw
";

    #[test]
    fn finds_the_mounts_of_a_file() {
        let mounts: Vec<Mount> = TABLE.lines().filter_map(line).collect();
        let place = place_in_filesystem(&mounts, Path::new("/srv/shop/.env")).unwrap();
        assert_eq!((place.device.as_str(), place.root.as_path()), ("254:2", Path::new("/data/shop/.env")));
        let of: Vec<_> = mounts
            .iter()
            .filter(|mount| is_of(mount, &place))
            .map(|mount| mount.at.to_str().unwrap())
            .collect();
        assert_eq!(of, ["/srv/other/.env", "/srv/third/a b"]);
        let elsewhere = place_in_filesystem(&mounts, Path::new("/etc/x")).unwrap();
        assert_eq!((elsewhere.device.as_str(), elsewhere.root.as_path()), ("254:1", Path::new("/etc/x")));
        assert_eq!(line("too short"), None);
    }

    #[test]
    fn an_ordinary_file_is_no_mount_point() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!is_mount_point(file.path()));
        assert!(mounted_elsewhere(file.path()).is_empty());
    }
}
