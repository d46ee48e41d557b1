//! The policy core as a WebAssembly module inside a Rust program: by [`wasmtime`], which compiles it, and by [`wasmi`], which
//! interprets it where nothing may be compiled.
//!
//! Who links Rust calls [`policy_core`] and needs none of this. It is for programs that take the module from elsewhere: another version
//! than the one they were built with, or one that is kept apart from their memory. What is called and answered is written down in
//! `wasm/ABI.md`. [`Runtime`] is a module that is ready to run, [`Instance`] is one memory with what was loaded into it, and [`Pool`]
//! keeps instances with one policy for many threads.
//!
//! ```no_run
//! use pbac::wasm::{Instance, Limits, Question, Runtime, wasmtime};
//! use policy_core::Timestamp;
//!
//! let module = wasmtime::Module::new(&std::fs::read("pbac.wasm")?, Limits::default())?;
//! let mut instance = module.instance()?;
//! let policy = instance.load(&std::fs::read("policy.pbac")?)?;
//! let now = Timestamp::from_seconds(1_700_000_000);
//! let question = Question { user: "42", roles: None, now };
//! let allowed = instance.check(policy, question, "po.approve")?.is_allowed();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An error is no answer, and whoever asks for one has to deny.

mod answer;
mod error;
mod guest;
mod pool;
mod session;
pub mod wasmi;
pub mod wasmtime;

use policy_core::Timestamp;

pub use answer::{Answer, Policy, Ring};
pub use error::WasmError;
pub use pool::Pool;
pub use session::SessionSet;

/// The version of the ABI that this speaks.
pub const ABI_VERSION: u32 = 1;

/// What an instance may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most memory that an instance may have for what is loaded and asked, in bytes.
    pub memory: u32,
    /// The most work that one call may do, in the runtime's units of fuel, about one an instruction; no limit where it is none. Counting costs
    /// about a third of the speed.
    pub fuel: Option<u64>,
}

impl Default for Limits {
    /// 64 MiB, and no limit to the work.
    fn default() -> Self {
        Self { memory: 64 << 20, fuel: None }
    }
}

/// Whom a question is about, and when.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The user's id.
    pub user: &'a str,
    /// The user's roles as a token carries them; none: those that the policy has for the user.
    pub roles: Option<&'a [&'a str]>,
    /// The time.
    pub now: Timestamp,
}

/// A module that is ready to run. Cheap to clone, and shared by threads.
pub trait Runtime: Clone + Send + Sync {
    /// What it makes.
    type Instance: Instance;

    /// An instance with a memory of its own, in which nothing is loaded.
    ///
    /// # Errors
    ///
    /// When the runtime has no room for it, or it speaks another ABI.
    fn instance(&self) -> Result<Self::Instance, WasmError>;
}

/// One memory with policies and key rings in it. One thread at a time uses it. After a [`WasmError::Trap`] it answers nothing any more.
pub trait Instance: Send {
    /// Loads a bundle.
    ///
    /// # Errors
    ///
    /// When it is refused, with the reason, or there is too little memory.
    fn load(&mut self, bundle: &[u8]) -> Result<Policy, WasmError>;

    /// Loads a bundle in the place of another: whole, or not at all.
    ///
    /// # Errors
    ///
    /// As [`Instance::load`]; the policy is then the one it was.
    fn replace(&mut self, policy: Policy, bundle: &[u8]) -> Result<(), WasmError>;

    /// Lets go of a policy.
    ///
    /// # Errors
    ///
    /// When it is none of this instance.
    fn free(&mut self, policy: Policy) -> Result<(), WasmError>;

    /// The number of a permission, for [`Instance::check_id`] and [`SessionSet::allows_id`]; it changes with the policy.
    ///
    /// # Errors
    ///
    /// When the catalog has no such permission.
    fn permission_id(&mut self, policy: Policy, permission: &str) -> Result<i32, WasmError>;

    /// Whether a user may.
    ///
    /// # Errors
    ///
    /// When it could not be answered: deny then.
    fn check(
        &mut self,
        policy: Policy,
        question: Question<'_>,
        permission: &str,
    ) -> Result<Answer, WasmError>;

    /// The same, for a permission that was looked up.
    ///
    /// # Errors
    ///
    /// As [`Instance::check`]; also when the number is of another policy.
    fn check_id(
        &mut self,
        policy: Policy,
        question: Question<'_>,
        permission: i32,
    ) -> Result<Answer, WasmError>;

    /// The same for many permissions of one user, in the order given, by one call.
    ///
    /// # Errors
    ///
    /// As [`Instance::check`].
    fn check_batch(
        &mut self,
        policy: Policy,
        question: Question<'_>,
        permissions: &[&str],
    ) -> Result<Vec<Answer>, WasmError>;

    /// The decision with its reason, as JSON: what [`policy_core::Decision`] is written as.
    ///
    /// # Errors
    ///
    /// As [`Instance::check`].
    fn decide(
        &mut self,
        policy: Policy,
        question: Question<'_>,
        permission: &str,
    ) -> Result<String, WasmError>;

    /// The decision with all that had a say in it, as JSON: what [`policy_core::Explanation`] is written as.
    ///
    /// # Errors
    ///
    /// As [`Instance::check`].
    fn explain(
        &mut self,
        policy: Policy,
        question: Question<'_>,
        permission: &str,
    ) -> Result<String, WasmError>;

    /// Every permission of a user, in byte order.
    ///
    /// # Errors
    ///
    /// As [`Instance::check`].
    fn permissions(&mut self, policy: Policy, question: Question<'_>) -> Result<Vec<String>, WasmError>;

    /// Who holds a permission, as JSON: what [`policy_core::Holders`] is written as.
    ///
    /// # Errors
    ///
    /// As [`Instance::check`]; also when the catalog has no such permission.
    fn who_can(&mut self, policy: Policy, permission: &str, now: Timestamp) -> Result<String, WasmError>;

    /// What a user may do, taken out of the instance, so that each further check is a bit test here.
    ///
    /// # Errors
    ///
    /// As [`Instance::check`].
    fn session(&mut self, policy: Policy, question: Question<'_>) -> Result<SessionSet, WasmError>;

    /// Loads a key ring from its document (`wasm/ABI.md`).
    ///
    /// # Errors
    ///
    /// When it is refused, with the reason.
    fn load_ring(&mut self, document: &str) -> Result<Ring, WasmError>;

    /// Verifies a token: its claims as JSON, as `wasm/ABI.md` has them, or the one reason why not.
    ///
    /// # Errors
    ///
    /// When it could not be looked at.
    fn verify(
        &mut self,
        ring: Ring,
        token: &str,
        now: Timestamp,
    ) -> Result<Result<String, String>, WasmError>;

    /// How many bytes of the memory are in use.
    ///
    /// # Errors
    ///
    /// When the instance answers nothing any more.
    fn memory_used(&mut self) -> Result<u32, WasmError>;
}
