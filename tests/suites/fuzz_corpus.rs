//! The inputs that fuzzing kept, through the same functions (`tests/fuzz`): what was found stays found, on any compiler.

use pbac_tests::fuzz::TARGETS;
use std::fs;
use std::path::Path;

#[test]
fn every_kept_input_keeps_what_must_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let inputs: Vec<_> =
            fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 10, "{name} has {} inputs", inputs.len());
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{}: see above", input.display());
        }
    }
}
