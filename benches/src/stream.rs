//! Timing one path on the stream of questions.

use crate::workload::{Question, Workload};
use criterion::{BenchmarkGroup, Throughput, measurement::WallTime};
use std::hint::black_box;

/// Holds a path to the answers, then times it on the whole stream; `elem/s` counts questions.
///
/// # Panics
///
/// When it gives a wrong answer.
pub fn stream(
    group: &mut BenchmarkGroup<'_, WallTime>,
    work: &Workload,
    path: &str,
    mut allows: impl FnMut(&Question) -> bool,
) {
    work.assert_answers(path, &mut allows);
    group.throughput(Throughput::Elements(work.questions.len() as u64));
    group.bench_function(path, |bencher| {
        bencher.iter(|| work.questions.iter().filter(|question| allows(black_box(question))).count());
    });
}
