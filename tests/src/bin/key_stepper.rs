//! The process that `pbac_tests::key_stepper` leads from step to step.

fn main() -> pbac::exit::Exit {
    pbac_tests::key_stepper::serve()
}
