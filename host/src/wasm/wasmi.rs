//! The module by [wasmi](https://docs.rs/wasmi), which interprets it.

use wasmi::{Config, Engine};

use super::Limits;
use super::error::WasmError;
use super::guest::guest;

/// A module that was read.
#[derive(Clone, Debug)]
pub struct Module {
    engine: Engine,
    module: wasmi::Module,
    limits: Limits,
}

impl Module {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When it is no module.
    pub fn new(bytes: &[u8], limits: Limits) -> Result<Self, WasmError> {
        let mut config = Config::default();
        config.consume_fuel(limits.fuel.is_some());
        let engine = Engine::new(&config);
        let module = wasmi::Module::new(&engine, bytes).map_err(refused)?;
        Ok(Self { engine, module, limits })
    }
}

guest!(wasmi);

fn refused(error: impl std::fmt::Display) -> WasmError {
    WasmError::Module(error.to_string())
}
