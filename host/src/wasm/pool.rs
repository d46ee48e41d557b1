//! Instances that hold one policy, for many threads.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::answer::Policy;
use super::error::WasmError;
use super::{Instance, Runtime};

/// Instances that hold one policy. Each thread that asks takes one, or makes one where none is idle; all of them take a new policy
/// before they answer again.
pub struct Pool<R: Runtime> {
    runtime: R,
    newest: RwLock<Arc<Bundle>>,
    idle: Mutex<Vec<Idle<R::Instance>>>,
    /// How many idle instances are kept.
    keep: usize,
}

struct Bundle {
    bytes: Vec<u8>,
    number: u64,
}

/// An instance, and the number of the bundle in it.
struct Idle<I> {
    instance: I,
    policy: Policy,
    number: u64,
}

impl<R: Runtime> std::fmt::Debug for Pool<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl<R: Runtime> Pool<R> {
    /// Instances with this bundle, of which at most `keep` stay when nobody asks.
    ///
    /// # Errors
    ///
    /// When the bundle is refused.
    pub fn new(runtime: R, bundle: &[u8], keep: usize) -> Result<Self, WasmError> {
        let first = Self::filled(&runtime, bundle, 0)?;
        Ok(Self {
            runtime,
            newest: RwLock::new(Arc::new(Bundle { bytes: bundle.to_vec(), number: 0 })),
            idle: Mutex::new(vec![first]),
            keep,
        })
    }

    /// Asks something of an instance. It is given back when the question is answered, but for one that has trapped.
    ///
    /// # Errors
    ///
    /// As the question; also when no instance can be made.
    pub fn with<T>(
        &self,
        ask: impl FnOnce(&mut R::Instance, Policy) -> Result<T, WasmError>,
    ) -> Result<T, WasmError> {
        let mut taken = self.take()?;
        let answer = ask(&mut taken.instance, taken.policy);
        if !matches!(answer, Err(WasmError::Trap(_) | WasmError::Broken)) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < self.keep.max(1) {
                idle.push(taken);
            }
        }
        answer
    }

    /// Takes another bundle: every question that begins after this is answered by it.
    ///
    /// # Errors
    ///
    /// When it is refused; the old one stays.
    pub fn replace(&self, bundle: &[u8]) -> Result<(), WasmError> {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let number = newest.number.saturating_add(1);
        let filled = Self::filled(&self.runtime, bundle, number)?;
        *newest = Arc::new(Bundle { bytes: bundle.to_vec(), number });
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.truncate(self.keep.max(1).saturating_sub(1));
        idle.push(filled);
        Ok(())
    }

    fn take(&self) -> Result<Idle<R::Instance>, WasmError> {
        let newest = Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner));
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(idle) if idle.number == newest.number => Ok(idle),
            Some(mut idle) => {
                // What was loaded elsewhere may still need more memory than is left here: then a new instance takes its place.
                match idle.instance.replace(idle.policy, &newest.bytes) {
                    Ok(()) => Ok(Idle { number: newest.number, ..idle }),
                    Err(_) => Self::filled(&self.runtime, &newest.bytes, newest.number),
                }
            }
            None => Self::filled(&self.runtime, &newest.bytes, newest.number),
        }
    }

    fn filled(runtime: &R, bundle: &[u8], number: u64) -> Result<Idle<R::Instance>, WasmError> {
        let mut instance = runtime.instance()?;
        let policy = instance.load(bundle)?;
        Ok(Idle { instance, policy, number })
    }
}
