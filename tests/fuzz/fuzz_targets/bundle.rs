#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pbac_fuzz::fuzz::bundle(data));
