//! The module by [wasmtime](https://docs.rs/wasmtime), which compiles it to machine code.

use std::path::Path;

use wasmtime::{Cache, CacheConfig, Config, Engine, PoolingAllocationConfig};

use super::Limits;
use super::error::WasmError;
use super::guest::guest;

/// How many instances there may be at once.
const INSTANCES: u32 = 1_000;

/// A compiled module.
#[derive(Clone, Debug)]
pub struct Module {
    engine: Engine,
    module: wasmtime::Module,
    limits: Limits,
}

impl Module {
    /// Compiles it.
    ///
    /// # Errors
    ///
    /// When it is no module.
    pub fn new(bytes: &[u8], limits: Limits) -> Result<Self, WasmError> {
        Self::compiled(bytes, limits, None)
    }

    /// The same, where what was compiled once is kept in a directory and taken from there the next time. Whoever may write there decides
    /// what runs.
    ///
    /// # Errors
    ///
    /// As [`Module::new`]; also when the directory cannot be used.
    pub fn cached(bytes: &[u8], limits: Limits, directory: &Path) -> Result<Self, WasmError> {
        let directory = std::path::absolute(directory).map_err(refused)?;
        let mut config = CacheConfig::new();
        config.with_directory(directory);
        Self::compiled(bytes, limits, Some(Cache::new(config).map_err(refused)?))
    }

    fn compiled(bytes: &[u8], limits: Limits, cache: Option<Cache>) -> Result<Self, WasmError> {
        let mut config = Config::new();
        config.cache(cache).consume_fuel(limits.fuel.is_some());
        // Instances come from memory that is set aside, so that making one costs microseconds.
        let mut pool = PoolingAllocationConfig::default();
        pool.total_core_instances(INSTANCES).total_memories(INSTANCES).total_tables(INSTANCES);
        config.allocation_strategy(pool);
        let engine = Engine::new(&config).map_err(refused)?;
        let module = wasmtime::Module::new(&engine, bytes).map_err(refused)?;
        Ok(Self { engine, module, limits })
    }
}

guest!(wasmtime);

fn refused(error: impl std::fmt::Display) -> WasmError {
    // With every cause, since the first line alone says little.
    WasmError::Module(format!("{error:#}"))
}
