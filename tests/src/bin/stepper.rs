//! The process that `pbac_tests::stepper` leads from step to step.

fn main() -> pbac::exit::Exit {
    pbac_tests::stepper::serve()
}
