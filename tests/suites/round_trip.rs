//! Every migration case of the tree goes there and back and there again. Those of the suites `migrate`, `schemas` and
//! `inspect` do so by their own harness, whenever it has migrated.

use std::collections::BTreeSet;
use std::path::Path;

use pbac_tests::round_trip::cases;

#[tokio::test]
async fn every_case_of_the_tree_goes_there_and_back() {
    for case in cases() {
        case.run().await;
    }
}

/// Nothing that looks like a case is left out: a directory that holds a policy is one that was found.
#[test]
fn no_case_is_left_out() {
    let found: BTreeSet<String> = cases().into_iter().map(|case| case.name).collect();
    assert!(found.contains("erp"));
    for parent in ["examples", "tests/schemas"] {
        let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(parent);
        for entry in parent.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!path.join("policy.toml").exists() || found.contains(&name), "`{name}` is no case");
        }
    }
}
