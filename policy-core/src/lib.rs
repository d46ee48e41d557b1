//! policy-core
