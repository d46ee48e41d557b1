#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pbac_fuzz::fuzz::policy_file(data));
