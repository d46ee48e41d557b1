//! A node of a fleet: see `pbac_tests::fleet`.

fn main() {
    pbac_tests::fleet::serve();
}
