//! From a policy to its compiled form, within a budget that grows with the policy's size.

mod roles;
mod users;

use super::{Cover, Index, PatternId, RoleId, Span};
use crate::bundle::wire::distinct;
use crate::bundle::{self, Measures};
use crate::catalog::PermissionId;
use crate::error::LimitError;
use crate::limits::{
    COMPILE_STEPS_BASE, COMPILE_STEPS_PER_INPUT_BYTE, COMPILED_BYTES_BASE, COMPILED_BYTES_PER_INPUT_BYTE,
};
use crate::pattern::{self, Pattern};
use crate::policy::{Policy, position};
use crate::room::{self, Room};
use crate::set::{self, SetId, SetInterner};
use crate::table::{Finder, Texts};
use alloc::vec::Vec;
use roles::RoleTables;
use users::UserTables;

impl Index {
    /// Compiles a policy.
    ///
    /// # Errors
    /// When the compiled form would take more memory or work than a policy of this size justifies
    /// ([`crate::COMPILED_BYTES_PER_INPUT_BYTE`], [`crate::COMPILE_STEPS_PER_INPUT_BYTE`]).
    pub fn compile(policy: &Policy) -> Result<Self, LimitError> {
        Self::compile_within(policy, &room::unlimited)
    }

    /// Compiles a policy where memory is scarce: `room` is asked before it is taken, beyond what reading the policy from a bundle took
    /// for a while ([`crate::decode_within`]).
    ///
    /// # Errors
    /// As [`Index::compile`]; and what `room` says.
    pub fn compile_within(policy: &Policy, room: Room<'_>) -> Result<Self, LimitError> {
        let Measures { hash, size, memory } = bundle::measure(policy);
        room(memory)?;
        let seed = hash.seed();
        let mut budget = Budget::new(size, room);
        let permissions = Texts::collect(policy.permissions().iter().map(|entry| entry.name.as_str()))?;
        let mut sets = SetInterner::new(permissions.len(), seed);

        let patterns = distinct_patterns(policy);
        let covers = patterns
            .iter()
            .map(|text| cover(text, policy, &mut sets, &mut budget))
            .collect::<Result<Vec<_>, _>>()?;
        let roles = RoleTables::compile(policy, &patterns, &covers, &mut sets, &mut budget)?;
        let users = UserTables::compile(policy, &patterns)?;

        let (spellings, spelling_roles) = spellings(policy)?;
        let spelling_finder = Finder::new(&spellings, seed);
        let role_of = |text| {
            let number = spelling_finder.find(&spellings, text)?;
            spelling_roles.get(number as usize).copied()
        };
        Ok(Self {
            hash,
            permission_finder: Finder::new(&permissions, seed),
            permissions,
            role_names: Texts::collect(policy.roles().iter().map(|role| role.name.as_str()))?,
            roles: roles.compiled,
            patterns: Texts::collect(patterns.iter().copied())?,
            covers,
            grants: roles.grants,
            closures: roles.closures,
            sets: sets.finish(),
            user_finder: Finder::new(&users.ids, seed),
            users: users.ids,
            user_entries: users.entries,
            user_roles: users.roles,
            stored_roles: users.spellings.iter().map(role_of).collect(),
            stored_spellings: users.spellings,
            overrides: users.overrides,
            reasons: users.reasons,
            spellings,
            spelling_finder,
            spelling_roles,
        })
    }
}

/// What compiling may still cost.
struct Budget<'r> {
    room: Room<'r>,
    /// As many bytes there is room for.
    granted: u64,
    max_steps: u64,
    max_bytes: u64,
    steps: u64,
    bytes: u64,
}

impl<'r> Budget<'r> {
    fn new(input_bytes: usize, room: Room<'r>) -> Self {
        let allowance = |base: u64, each: u64| (input_bytes as u64).saturating_mul(each).saturating_add(base);
        Self {
            room,
            granted: 0,
            max_steps: allowance(COMPILE_STEPS_BASE, COMPILE_STEPS_PER_INPUT_BYTE),
            max_bytes: allowance(COMPILED_BYTES_BASE, COMPILED_BYTES_PER_INPUT_BYTE),
            steps: 0,
            bytes: 0,
        }
    }

    fn take_steps(&mut self, steps: usize) -> Result<(), LimitError> {
        self.steps = self.steps.saturating_add(steps as u64);
        if self.steps <= self.max_steps {
            return Ok(());
        }
        Err(LimitError {
            limit: "steps to compile a policy of this size",
            max: self.max_steps,
            value: self.steps,
        })
    }

    fn take_bytes(&mut self, bytes: usize) -> Result<(), LimitError> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes <= self.max_bytes {
            return Ok(());
        }
        Err(LimitError {
            limit: "bytes of a compiled policy of this size",
            max: self.max_bytes,
            value: self.bytes,
        })
    }

    /// Asks for room for `bytes` more: for twice as much as there is each time, since that is how lists grow, and for their old and
    /// new form at once.
    fn find_room(&mut self, bytes: usize) -> Result<(), LimitError> {
        let wanted = self.bytes.saturating_add(bytes as u64);
        if wanted > self.granted {
            self.granted = wanted.saturating_mul(2).max(MIN_GRANT);
            (self.room)(self.granted.saturating_mul(2))?;
        }
        Ok(())
    }

    /// Adds a set to the pool, on the budget.
    fn intern(&mut self, bits: &[u64], sets: &mut SetInterner) -> Result<SetId, LimitError> {
        self.take_steps(bits.len())?;
        self.find_room(size_of_val(bits))?;
        let before = sets.pool().bytes();
        let id = sets.intern(bits);
        self.take_bytes(sets.pool().bytes().saturating_sub(before))?;
        Ok(id)
    }
}

/// The least that room is asked for.
const MIN_GRANT: u64 = 4096;

/// Every pattern of a role or override, once, in byte order: its place is its number.
fn distinct_patterns(policy: &Policy) -> Vec<&str> {
    let of_roles = policy.roles().iter().flat_map(|role| &role.grants);
    let of_overrides = policy.overrides().iter().map(|entry| &entry.pattern);
    distinct(of_roles.chain(of_overrides).map(Pattern::as_str))
}

fn pattern_id(patterns: &[&str], wanted: &Pattern) -> PatternId {
    number(position(patterns, wanted.as_str(), |text| text))
}

/// A place in a list of names, which together have fewer bytes than 32 bits count.
fn number(position: Option<usize>) -> u32 {
    position.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
}

/// A place in the catalog or among the roles, which have 65,535 entries at most.
fn small(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

/// A span between two places of a list.
fn span(start: usize, end: usize) -> Span {
    Span { start: number(Some(start)), end: number(Some(end)) }
}

/// Every name and alias of a role, and the role it stands for.
fn spellings(policy: &Policy) -> Result<(Texts, Vec<RoleId>), LimitError> {
    let mut roles = Vec::new();
    let mut texts = Vec::new();
    for (at, role) in policy.roles().iter().enumerate() {
        for name in core::iter::once(&role.name).chain(&role.aliases) {
            texts.push(name.as_str());
            roles.push(RoleId(small(at)));
        }
    }
    Ok((Texts::collect(texts.into_iter())?, roles))
}

/// Matches one pattern against the part of the catalog that begins as it does.
fn cover(
    text: &str,
    policy: &Policy,
    sets: &mut SetInterner,
    budget: &mut Budget<'_>,
) -> Result<Cover, LimitError> {
    let catalog = policy.permissions();
    let prefix = text.split('*').next().unwrap_or_default();
    let start = catalog.partition_point(|entry| entry.name.as_str() < prefix);
    let beginning = catalog.get(start..).unwrap_or_default();
    let length = beginning.partition_point(|entry| entry.name.as_str().starts_with(prefix));
    let candidates = beginning.get(..length).unwrap_or_default();
    budget.take_steps(length.saturating_add(sets.pool().width()))?;

    let mut bits = sets.pool().empty();
    let mut run: Option<(usize, usize)> = None;
    let mut matched = 0_usize;
    for (at, entry) in (start..).zip(candidates) {
        if pattern::matches(text, entry.name.as_str()) {
            set::insert(&mut bits, PermissionId(small(at)));
            run = Some((run.map_or(at, |(first, _)| first), at.saturating_add(1)));
            matched = matched.saturating_add(1);
        }
    }
    let (first, end) = run.unwrap_or_default();
    if end.saturating_sub(first) == matched {
        return Ok(Cover::Run(small(first), small(end)));
    }
    budget.intern(&bits, sets).map(Cover::Set)
}
