//! host
pub mod postgres;
