//! The calls of the ABI (`wasm/ABI.md`) by any runtime whose Rust API is that of wasmtime.

use super::Question;
use super::error::WasmError;

/// The module's data and stack, beside what the limit is for.
pub(super) const FIXED_BYTES: usize = 4 << 20;

/// The code of a module that has no more memory.
pub(super) const OUT_OF_MEMORY: i32 = -23;

/// The length of an argument, as the module takes it.
pub(super) fn length(bytes: usize) -> Result<i32, WasmError> {
    i32::try_from(bytes).map_err(|_| WasmError::TooLong(bytes))
}

/// How many bytes a list takes (`wasm/ABI.md`, "Buffers").
pub(super) fn list_length(items: &[&str]) -> usize {
    items.iter().fold(0, |sum: usize, item| sum.saturating_add(4).saturating_add(item.len()))
}

/// The lengths of whom a question is about: of the user and of the roles, where those of the policy are -1.
pub(super) fn subject(question: Question<'_>) -> Result<(i32, i32), WasmError> {
    let roles = question.roles.map_or(Ok(-1), |roles| length(list_length(roles)))?;
    Ok((length(question.user.len())?, roles))
}

/// Writes arguments end to end.
pub(super) struct Writer<'a>(pub(super) &'a mut [u8]);

impl Writer<'_> {
    /// One of bytes.
    pub(super) fn put(self, bytes: &[u8]) -> Result<Self, WasmError> {
        let (place, rest) = self.0.split_at_mut_checked(bytes.len()).ok_or_else(no_room)?;
        place.copy_from_slice(bytes);
        Ok(Self(rest))
    }

    /// One that is a list.
    pub(super) fn put_list(mut self, items: &[&str]) -> Result<Self, WasmError> {
        for item in items {
            let length = u32::try_from(item.len()).map_err(|_| WasmError::TooLong(item.len()))?;
            self = self.put(&length.to_le_bytes())?.put(item.as_bytes())?;
        }
        Ok(self)
    }
}

/// The input buffer is where the module said, and as long; another place is a fault of the module.
pub(super) fn no_room() -> WasmError {
    WasmError::BadAnswer("a buffer that is not in its memory".to_owned())
}

/// Defines `Guest`, an instance in the runtime of this name, of the `Module` that stands beside it.
macro_rules! guest {
    ($engine:ident) => {
        use crate::wasm::answer::{Answer, Policy, Ring};
        use crate::wasm::guest::{FIXED_BYTES, OUT_OF_MEMORY, Writer, length, list_length, no_room, subject};
        use crate::wasm::session::SessionSet;
        use crate::wasm::{ABI_VERSION, Question};
        use ::$engine::{Store, StoreLimits, StoreLimitsBuilder, TypedFunc};
        use policy_core::Timestamp;

        /// An instance of the module.
        pub struct Guest {
            store: Store<StoreLimits>,
            memory: ::$engine::Memory,
            calls: Calls,
            fuel: Option<u64>,
            /// Where the input buffer is, and how long.
            input: std::ops::Range<usize>,
            broken: bool,
        }

        /// The exports.
        struct Calls {
            init: TypedFunc<i32, i32>,
            input: TypedFunc<i32, i32>,
            output: TypedFunc<(), i32>,
            output_length: TypedFunc<(), i32>,
            memory_used: TypedFunc<(), i32>,
            describe: TypedFunc<i32, i32>,
            free: TypedFunc<i32, i32>,
            policy_load: TypedFunc<i32, i32>,
            policy_replace: TypedFunc<(i32, i32), i32>,
            permission_id: TypedFunc<(i32, i32), i32>,
            check: TypedFunc<(i32, i32, i32, i32, i64), i32>,
            check_id: TypedFunc<(i32, i32, i32, i32, i64), i32>,
            check_batch: TypedFunc<(i32, i32, i32, i32, i64), i32>,
            decide: TypedFunc<(i32, i32, i32, i32, i64), i32>,
            explain: TypedFunc<(i32, i32, i32, i32, i64), i32>,
            permissions: TypedFunc<(i32, i32, i32, i64), i32>,
            who_can: TypedFunc<(i32, i32, i64), i32>,
            session_set: TypedFunc<(i32, i32, i32, i64), i32>,
            ring_load: TypedFunc<i32, i32>,
            token_verify: TypedFunc<(i32, i32, i64), i32>,
        }

        impl std::fmt::Debug for Guest {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // What is in its memory may be keys.
                f.debug_struct("Guest").field("broken", &self.broken).finish_non_exhaustive()
            }
        }

        /// Calls an export of a guest: `call!(guest, name, arguments)`. A macro, so that it borrows fields and not the whole.
        macro_rules! call {
            ($guest:expr, $name:ident, $arguments:expr) => {
                invoke(&mut $guest.store, $guest.fuel, &mut $guest.broken, &$guest.calls.$name, $arguments)
            };
        }

        /// Calls an export that is asked about a permission by its name.
        macro_rules! call_by_name {
            ($guest:expr, $name:ident, $policy:expr, $question:expr, $permission:expr) => {{
                let (question, permission): (Question<'_>, &str) = ($question, $permission);
                $guest.ask(question, permission.len())?.put(permission.as_bytes())?;
                let (user, roles) = subject(question)?;
                let length = length(permission.len())?;
                call!($guest, $name, ($policy.0, user, roles, length, question.now.micros()))
            }};
        }

        fn invoke<P: ::$engine::WasmParams>(
            store: &mut Store<StoreLimits>,
            fuel: Option<u64>,
            broken: &mut bool,
            export: &TypedFunc<P, i32>,
            arguments: P,
        ) -> Result<i32, WasmError> {
            if *broken {
                return Err(WasmError::Broken);
            }
            if let Some(fuel) = fuel {
                store.set_fuel(fuel).map_err(|error| WasmError::Module(error.to_string()))?;
            }
            export.call(store, arguments).map_err(|error| {
                *broken = true;
                WasmError::Trap(format!("{error:?}"))
            })
        }

        impl Guest {
            fn store(engine: &::$engine::Engine, limits: Limits) -> Result<Store<StoreLimits>, WasmError> {
                let most = usize::try_from(limits.memory).unwrap_or(usize::MAX).saturating_add(FIXED_BYTES);
                let mut store = Store::new(engine, StoreLimitsBuilder::new().memory_size(most).build());
                store.limiter(|limits| limits);
                if let Some(fuel) = limits.fuel {
                    store.set_fuel(fuel).map_err(refused)?;
                }
                Ok(store)
            }

            fn new(
                mut store: Store<StoreLimits>,
                instance: ::$engine::Instance,
                limits: Limits,
            ) -> Result<Self, WasmError> {
                let memory = instance.get_memory(&mut store, "memory");
                let memory = memory.ok_or_else(|| WasmError::NotOurs("it exports no memory".to_owned()))?;
                macro_rules! export {
                    ($name:literal) => {
                        instance
                            .get_typed_func(&mut store, $name)
                            .map_err(|error| WasmError::NotOurs(format!("`{}`: {error}", $name)))?
                    };
                }
                let version: TypedFunc<(), i32> = export!("pbac_abi_version");
                let calls = Calls {
                    init: export!("pbac_init"),
                    input: export!("pbac_input"),
                    output: export!("pbac_output"),
                    output_length: export!("pbac_output_length"),
                    memory_used: export!("pbac_memory_used"),
                    describe: export!("pbac_describe"),
                    free: export!("pbac_free"),
                    policy_load: export!("pbac_policy_load"),
                    policy_replace: export!("pbac_policy_replace"),
                    permission_id: export!("pbac_permission_id"),
                    check: export!("pbac_check"),
                    check_id: export!("pbac_check_id"),
                    check_batch: export!("pbac_check_batch"),
                    decide: export!("pbac_decide"),
                    explain: export!("pbac_explain"),
                    permissions: export!("pbac_permissions"),
                    who_can: export!("pbac_who_can"),
                    session_set: export!("pbac_session_set"),
                    ring_load: export!("pbac_ring_load"),
                    token_verify: export!("pbac_token_verify"),
                };
                let mut guest = Self { store, memory, calls, fuel: limits.fuel, input: 0..0, broken: false };
                let spoken = invoke(&mut guest.store, guest.fuel, &mut guest.broken, &version, ())?;
                if spoken.cast_unsigned() != ABI_VERSION {
                    return Err(WasmError::OtherAbi(spoken.cast_unsigned()));
                }
                let code = call!(guest, init, limits.memory.cast_signed())?;
                guest.done(code)?;
                Ok(guest)
            }

            /// The input buffer, with room for so many bytes.
            fn writer(&mut self, bytes: usize) -> Result<Writer<'_>, WasmError> {
                if bytes > self.input.len() {
                    // Somewhat more, so that it seldom has to grow.
                    let wanted = bytes.checked_next_power_of_two().unwrap_or(bytes).max(4096);
                    let address = call!(self, input, length(wanted)?)?.cast_unsigned();
                    if address == 0 {
                        return Err(self.described(OUT_OF_MEMORY));
                    }
                    let start = usize::try_from(address).map_err(|_| no_room())?;
                    self.input = start..start.checked_add(wanted).ok_or_else(no_room)?;
                }
                let memory = self.memory.data_mut(&mut self.store);
                memory.get_mut(self.input.clone()).map(Writer).ok_or_else(no_room)
            }

            /// Writes who is asked about, and what is asked for beside it.
            fn ask<'a>(&'a mut self, question: Question<'_>, more: usize) -> Result<Writer<'a>, WasmError> {
                let roles = question.roles.unwrap_or_default();
                let most = question.user.len().saturating_add(list_length(roles)).saturating_add(more);
                self.writer(most)?.put(question.user.as_bytes())?.put_list(roles)
            }

            /// What the last call has written.
            fn output(&mut self) -> Result<&[u8], WasmError> {
                let start = call!(self, output, ())?.cast_unsigned();
                let length = call!(self, output_length, ())?.cast_unsigned();
                let start = usize::try_from(start).map_err(|_| no_room())?;
                let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
                let range = start..end.ok_or_else(no_room)?;
                self.memory.data(&self.store).get(range).ok_or_else(no_room)
            }

            fn text(&mut self) -> Result<String, WasmError> {
                let text = std::str::from_utf8(self.output()?).map(str::to_owned);
                text.map_err(|_| WasmError::BadAnswer("a text that is not UTF-8".to_owned()))
            }

            /// The error of a code, with the reason that the last call has left, or else the code's own words.
            fn refusal(&mut self, code: i32) -> WasmError {
                match self.text() {
                    Ok(message) if !message.is_empty() => WasmError::Refused { code, message },
                    _ => self.described(code),
                }
            }

            /// The number, or the error that it stands for.
            fn done(&mut self, code: i32) -> Result<i32, WasmError> {
                if code <= -16 { Err(self.refusal(code)) } else { Ok(code) }
            }

            fn answer(&mut self, code: i32) -> Result<Answer, WasmError> {
                match Answer::of(code) {
                    Some(answer) => Ok(answer),
                    None => Err(self.described(code)),
                }
            }

            /// The error of a call that leaves the output alone.
            fn described(&mut self, code: i32) -> WasmError {
                let message = call!(self, describe, code).and_then(|_| self.text()).unwrap_or_default();
                WasmError::Refused { code, message }
            }
        }

        impl crate::wasm::Runtime for Module {
            type Instance = Guest;

            fn instance(&self) -> Result<Guest, WasmError> {
                let mut store = Guest::store(&self.engine, self.limits)?;
                let instance = ::$engine::Instance::new(&mut store, &self.module, &[]).map_err(refused)?;
                Guest::new(store, instance, self.limits)
            }
        }

        impl crate::wasm::Instance for Guest {
            fn load(&mut self, bundle: &[u8]) -> Result<Policy, WasmError> {
                self.writer(bundle.len())?.put(bundle)?;
                let code = call!(self, policy_load, length(bundle.len())?)?;
                self.done(code).map(Policy)
            }

            fn replace(&mut self, policy: Policy, bundle: &[u8]) -> Result<(), WasmError> {
                self.writer(bundle.len())?.put(bundle)?;
                let code = call!(self, policy_replace, (policy.0, length(bundle.len())?))?;
                self.done(code).map(drop)
            }

            fn free(&mut self, policy: Policy) -> Result<(), WasmError> {
                match call!(self, free, policy.0)? {
                    0 => Ok(()),
                    code => Err(self.described(code)),
                }
            }

            fn permission_id(&mut self, policy: Policy, permission: &str) -> Result<i32, WasmError> {
                self.writer(permission.len())?.put(permission.as_bytes())?;
                match call!(self, permission_id, (policy.0, length(permission.len())?))? {
                    id if id >= 0 => Ok(id),
                    code => Err(self.described(code)),
                }
            }

            fn check(
                &mut self,
                policy: Policy,
                question: Question<'_>,
                permission: &str,
            ) -> Result<Answer, WasmError> {
                let code = call_by_name!(self, check, policy, question, permission)?;
                self.answer(code)
            }

            fn check_id(
                &mut self,
                policy: Policy,
                question: Question<'_>,
                permission: i32,
            ) -> Result<Answer, WasmError> {
                self.ask(question, 0)?;
                let (user, roles) = subject(question)?;
                let code = call!(self, check_id, (policy.0, user, roles, permission, question.now.micros()))?;
                self.answer(code)
            }

            fn check_batch(
                &mut self,
                policy: Policy,
                question: Question<'_>,
                permissions: &[&str],
            ) -> Result<Vec<Answer>, WasmError> {
                let list = list_length(permissions);
                self.ask(question, list)?.put_list(permissions)?;
                let (user, roles) = subject(question)?;
                let code =
                    call!(self, check_batch, (policy.0, user, roles, length(list)?, question.now.micros()))?;
                self.done(code)?;
                let answers: Vec<i32> =
                    self.output()?.iter().map(|byte| i32::from(byte.cast_signed())).collect();
                if answers.len() != permissions.len() {
                    return Err(WasmError::BadAnswer(format!("{} answers", answers.len())));
                }
                answers.into_iter().map(|code| self.answer(code)).collect()
            }

            fn decide(
                &mut self,
                policy: Policy,
                question: Question<'_>,
                permission: &str,
            ) -> Result<String, WasmError> {
                let code = call_by_name!(self, decide, policy, question, permission)?;
                self.done(code)?;
                self.text()
            }

            fn explain(
                &mut self,
                policy: Policy,
                question: Question<'_>,
                permission: &str,
            ) -> Result<String, WasmError> {
                let code = call_by_name!(self, explain, policy, question, permission)?;
                self.done(code)?;
                self.text()
            }

            fn permissions(
                &mut self,
                policy: Policy,
                question: Question<'_>,
            ) -> Result<Vec<String>, WasmError> {
                self.ask(question, 0)?;
                let (user, roles) = subject(question)?;
                let code = call!(self, permissions, (policy.0, user, roles, question.now.micros()))?;
                self.done(code)?;
                Ok(self.text()?.lines().map(str::to_owned).collect())
            }

            fn who_can(
                &mut self,
                policy: Policy,
                permission: &str,
                now: Timestamp,
            ) -> Result<String, WasmError> {
                self.writer(permission.len())?.put(permission.as_bytes())?;
                match call!(self, who_can, (policy.0, length(permission.len())?, now.micros()))? {
                    code if code < 0 => Err(self.described(code)),
                    _ => self.text(),
                }
            }

            fn session(&mut self, policy: Policy, question: Question<'_>) -> Result<SessionSet, WasmError> {
                self.ask(question, 0)?;
                let (user, roles) = subject(question)?;
                let code = call!(self, session_set, (policy.0, user, roles, question.now.micros()))?;
                self.done(code)?;
                SessionSet::read(self.output()?)
            }

            fn load_ring(&mut self, document: &str) -> Result<Ring, WasmError> {
                self.writer(document.len())?.put(document.as_bytes())?;
                let code = call!(self, ring_load, length(document.len())?)?;
                self.done(code).map(Ring)
            }

            fn verify(
                &mut self,
                ring: Ring,
                token: &str,
                now: Timestamp,
            ) -> Result<Result<String, String>, WasmError> {
                self.writer(token.len())?.put(token.as_bytes())?;
                match call!(self, token_verify, (ring.0, length(token.len())?, now.micros()))? {
                    code if code > 0 => self.text().map(Ok),
                    code if code <= -64 => {
                        let said: serde_json::Value = serde_json::from_str(&self.text()?)
                            .map_err(|error| WasmError::BadAnswer(error.to_string()))?;
                        let reason = said.get("reason").and_then(serde_json::Value::as_str);
                        let reason = reason.ok_or_else(|| WasmError::BadAnswer("no reason".to_owned()))?;
                        Ok(Err(reason.to_owned()))
                    }
                    code => Err(self.refusal(code)),
                }
            }

            fn memory_used(&mut self) -> Result<u32, WasmError> {
                Ok(call!(self, memory_used, ())?.cast_unsigned())
            }
        }
    };
}

pub(super) use guest;
