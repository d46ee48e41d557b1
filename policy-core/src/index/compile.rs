//! From a policy to its compiled form, within a budget that grows with the policy's size.

mod roles;
mod users;

use super::source::{Source, SourceRole};
use super::{Cover, Index, PatternId, RoleId, number};
use crate::bundle::wire::{distinct, lists};
use crate::bundle::{self, BundleError, ContentHash};
use crate::catalog::PermissionId;
use crate::error::LimitError;
use crate::limits::{
    COMPILE_STEPS_BASE, COMPILE_STEPS_PER_INPUT_BYTE, COMPILED_BYTES_BASE, COMPILED_BYTES_PER_INPUT_BYTE,
};
use crate::pattern;
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
        let (hash, size) = bundle::measure(policy);
        Self::make(&Source::of(policy), hash, size, &room::unlimited)
    }

    /// Reads a bundle and compiles it at once: in less time and memory than by way of a [`Policy`], for whoever only asks for
    /// decisions.
    ///
    /// # Errors
    /// As [`crate::decode`] and [`Index::compile`]. What is there twice or out of order is [`BundleError::NotCanonical`].
    pub fn from_bundle(bytes: &[u8]) -> Result<Self, BundleError> {
        Self::from_bundle_within(bytes, &room::unlimited)
    }

    /// As [`Index::from_bundle`], where memory is scarce: `room` is asked before it is taken.
    ///
    /// # Errors
    /// As [`Index::from_bundle`]; and what `room` says, as [`PolicyError::Limit`](crate::PolicyError::Limit).
    pub fn from_bundle_within(bytes: &[u8], room: Room<'_>) -> Result<Self, BundleError> {
        let (hash, payload) = bundle::checked(bytes)?;
        let source = lists::read(payload, room)?;
        room(source.memory(payload.len()))?;
        Ok(Self::make(&source, hash, payload.len(), room)?)
    }

    /// `size` is that of the payload.
    fn make(source: &Source<'_>, hash: ContentHash, size: usize, room: Room<'_>) -> Result<Self, LimitError> {
        // No table of texts has more bytes than the payload, where each of its texts stands.
        LimitError::check("bytes of a policy", u32::MAX as usize, size)?;
        let seed = hash.seed();
        let mut budget = Budget::new(size, room);
        let mut sets = SetInterner::new(source.permissions.len(), seed);

        let patterns = distinct_patterns(source);
        let mut covers = Vec::with_capacity(patterns.len());
        for text in &patterns {
            covers.push(cover(text, &source.permissions, &mut sets, &mut budget)?);
        }
        let roles = RoleTables::compile(&source.roles, &patterns, &covers, &mut sets, &mut budget)?;
        let users = UserTables::compile(source, &patterns);

        let permissions = Texts::collect(source.permissions.iter().copied());
        let (spellings, spelling_roles) = spellings(&source.roles);
        let spelling_finder = Finder::new(&spellings, seed);
        let role_of = |text: &&str| {
            let number = spelling_finder.find(&spellings, text)?;
            spelling_roles.get(number as usize).copied()
        };
        Ok(Self {
            hash,
            permission_finder: Finder::new(&permissions, seed),
            permissions,
            role_names: Texts::collect(source.roles.iter().map(|role| role.name)),
            roles: roles.compiled,
            patterns: Texts::collect(patterns.iter().copied()),
            covers,
            grants: roles.grants,
            closures: roles.closures,
            sets: sets.finish(),
            user_finder: Finder::new(&users.ids, seed),
            users: users.ids,
            user_entries: users.entries,
            user_roles: source.user_roles.clone(),
            stored_roles: source.spellings.iter().map(role_of).collect(),
            stored_spellings: Texts::collect(source.spellings.iter().copied()),
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
fn distinct_patterns<'p>(source: &Source<'p>) -> Vec<&'p str> {
    let mut patterns = Vec::new();
    for role in &source.roles {
        patterns.extend_from_slice(&role.grants);
    }
    patterns.extend(source.overrides.iter().map(|entry| entry.pattern));
    distinct(patterns)
}

fn pattern_id(patterns: &[&str], wanted: &str) -> PatternId {
    number(position(patterns, wanted, |text| text))
}

/// A place in the catalog or among the roles, which have 65,535 entries at most.
fn small(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

/// Every name and alias of a role, and the role it stands for.
fn spellings(of: &[SourceRole<'_>]) -> (Texts, Vec<RoleId>) {
    let mut roles = Vec::new();
    let mut texts = Vec::new();
    for (at, role) in of.iter().enumerate() {
        texts.push(role.name);
        texts.extend_from_slice(&role.aliases);
        roles.resize(texts.len(), RoleId::of(Some(at)));
    }
    (Texts::collect(texts.into_iter()), roles)
}

/// Matches one pattern against the part of the catalog that begins as it does.
fn cover(
    text: &str,
    catalog: &[&str],
    sets: &mut SetInterner,
    budget: &mut Budget<'_>,
) -> Result<Cover, LimitError> {
    let prefix = text.split('*').next().unwrap_or_default();
    let start = catalog.partition_point(|name| *name < prefix);
    let beginning = catalog.get(start..).unwrap_or_default();
    let length = beginning.partition_point(|name| name.starts_with(prefix));
    let candidates = beginning.get(..length).unwrap_or_default();
    budget.take_steps(length.saturating_add(sets.pool().width()))?;

    let mut bits = sets.pool().empty();
    let mut run: Option<(usize, usize)> = None;
    let mut matched = 0_usize;
    for (at, name) in (start..).zip(candidates) {
        if pattern::matches(text, name) {
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
