//! The process that `pbac_tests::env_stepper` leads from step to step.

fn main() -> pbac::exit::Exit {
    pbac_tests::env_stepper::serve()
}
