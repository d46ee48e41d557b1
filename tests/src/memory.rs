//! The memory of a running process, as a core file would have it.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Every part of it that the process can write to: heap, stacks and variables.
///
/// # Panics
///
/// When it cannot be read: the process has ended, or is not ours.
pub fn snapshot(process: u32) -> Vec<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("its memory is listed");
    let memory = File::open(format!("/proc/{process}/mem")).expect("its memory can be opened");
    let parts = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |digits| u64::from_str_radix(digits, 16).expect("an address");
        rest.starts_with("rw").then(|| (number(start), number(end)))
    });
    let read = |(start, end): (u64, u64)| {
        let length = usize::try_from(end - start).expect("what is mapped fits");
        let mut bytes = vec![0; length];
        memory.read_exact_at(&mut bytes, start).expect("its memory can be read");
        bytes
    };
    parts.map(read).collect()
}
