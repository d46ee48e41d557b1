//! A payload read straight into what is compiled, without a [`Policy`](crate::Policy) in between, which whoever only asks for
//! decisions has no use for. Accepts exactly the payloads of policies, written the one way.

use super::super::BundleError;
use super::reader::Reader;
use crate::error::LimitError;
use crate::index::source::{Source, SourceOverride, SourceRole, SourceUser};
use crate::index::{RoleId, Span};
use crate::limits::{MAX_OVERRIDES, MAX_PERMISSIONS, MAX_ROLES, MAX_USERS};
use crate::name::{Label, PermissionName, RoleName, UserId};
use crate::overrides::Effect;
use crate::pattern::Pattern;
use crate::policy::{alias_clash, inheritance};
use crate::room::Room;
use crate::time::Timestamp;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// The lists of a payload; `room` is asked before memory is taken.
pub(crate) fn read<'p>(payload: &'p [u8], room: Room<'_>) -> Result<Source<'p>, BundleError> {
    room(ERROR_BYTES)?;
    let mut source = Source::default();
    match fill(&mut source, payload, room) {
        Ok(()) => Ok(source),
        Err(fault) => Err(*fault),
    }
}

fn fill<'p>(source: &mut Source<'p>, payload: &'p [u8], room: Room<'_>) -> Result<(), Fault> {
    let mut lists = Lists { reader: Reader::new(payload), room, length: payload.len() };

    let modules = lists.names(label)?;
    let mut used = lists.marks(modules.len())?;
    for _ in 0..lists.begin(PERMISSION, &mut source.permissions)? {
        let name = lists.name(permission)?;
        ascending(source.permissions.last().is_none_or(|last| *last < name))?;
        source.permissions.push(name);
        lists.reference("module", &mut used)?;
        lists.text()?;
    }
    all_used(&used)?;

    let roles = lists.begin(ROLE, &mut source.roles)?;
    for _ in 0..roles {
        let name = lists.name(role)?;
        ascending(source.roles.last().is_none_or(|last| last.name < name))?;
        lists.text()?;
        let grants = lists.names(pattern)?;
        let mut parents = Vec::new();
        for _ in 0..lists.begin(PARENT, &mut parents)? {
            let parent = RoleId::of(Some(lists.below("role", roles)?));
            ascending(parents.last().is_none_or(|last| *last < parent))?;
            parents.push(parent);
        }
        source.roles.push(SourceRole { name, grants, parents, aliases: lists.names(role)? });
    }
    lists.check(&source.roles)?;

    let mut last = "";
    for _ in 0..boxed(lists.reader.count())? {
        let name = lists.name(label)?;
        ascending(last < name)?;
        last = name;
        lists.name(pattern)?;
        lists.name(pattern)?;
        lists.text()?;
    }

    for _ in 0..lists.begin(OVERRIDE, &mut source.overrides)? {
        let next = SourceOverride {
            user: lists.name(user)?,
            effect: if boxed(lists.reader.flag())? { Effect::Allow } else { Effect::Deny },
            pattern: lists.name(pattern)?,
            expires_at: boxed(lists.reader.moment())?.map(Timestamp::from_micros),
            reason: lists.text()?,
        };
        ascending(source.overrides.last().is_none_or(|last| last.key() < next.key()))?;
        source.overrides.push(next);
    }

    source.spellings = lists.names(role)?;
    let mut used = lists.marks(source.spellings.len())?;
    for _ in 0..lists.begin(USER, &mut source.users)? {
        let id = lists.name(user)?;
        ascending(source.users.last().is_none_or(|last| last.id < id))?;
        let start = source.user_roles.len();
        for _ in 0..lists.begin(USER_ROLE, &mut source.user_roles)? {
            let spelling = lists.reference("role spelling", &mut used)?;
            let before = source.user_roles.get(start..).and_then(<[u32]>::last);
            ascending(before.is_none_or(|last| *last < spelling))?;
            source.user_roles.push(spelling);
        }
        source.users.push(SourceUser { id, roles: Span::new(start, source.user_roles.len()) });
    }
    all_used(&used)?;
    match lists.reader.left() {
        0 => Ok(()),
        more => Err(Box::new(BundleError::TrailingBytes(more))),
    }
}

struct Lists<'p, 'r> {
    reader: Reader<'p>,
    room: Room<'r>,
    /// Of the payload.
    length: usize,
}

/// What lists are of.
#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    /// The most there may be.
    max: usize,
    /// The fewest bytes that one takes.
    bytes: usize,
}

const PERMISSION: Entry = Entry { name: "permissions", max: MAX_PERMISSIONS, bytes: 6 };
const ROLE: Entry = Entry { name: "roles", max: MAX_ROLES, bytes: 6 };
const PARENT: Entry = Entry { name: "inherited roles", max: MAX_ROLES, bytes: 1 };
const OVERRIDE: Entry = Entry { name: "overrides", max: MAX_OVERRIDES, bytes: 7 };
const USER: Entry = Entry { name: "users", max: MAX_USERS, bytes: 3 };
const USER_ROLE: Entry = Entry { name: "roles of all users together", max: u32::MAX as usize, bytes: 1 };
const NAME: Entry = Entry { name: "names", max: usize::MAX, bytes: 2 };

/// An error in a box: it is large, and handed on in many places.
type Fault = Box<BundleError>;

/// Whether a text is a name of its kind.
type Check = fn(&str) -> Result<(), Fault>;

fn boxed<T, E: Into<BundleError>>(result: Result<T, E>) -> Result<T, Fault> {
    result.map_err(|error| Box::new(error.into()))
}

fn permission(text: &str) -> Result<(), Fault> {
    boxed(PermissionName::check(text))
}

fn pattern(text: &str) -> Result<(), Fault> {
    boxed(Pattern::check(text))
}

fn role(text: &str) -> Result<(), Fault> {
    boxed(RoleName::check(text))
}

fn label(text: &str) -> Result<(), Fault> {
    boxed(Label::check(text))
}

fn user(text: &str) -> Result<(), Fault> {
    boxed(UserId::check(text))
}

impl<'p> Lists<'p, '_> {
    /// Begins a list, of which the entries are to be added to `list`: how many there are.
    fn begin<T>(&mut self, entry: Entry, list: &mut Vec<T>) -> Result<usize, Fault> {
        let count = boxed(self.reader.count_of(entry.bytes))?;
        let all = list.len().saturating_add(count);
        boxed(LimitError::check(entry.name, entry.max, all))?;
        if all > list.capacity() {
            // As lists grow by themselves, if this one grows.
            let wanted = all.max(list.capacity().saturating_mul(2));
            self.find_room(wanted, size_of::<T>())?;
            list.reserve_exact(wanted.saturating_sub(list.len()));
        }
        Ok(count)
    }

    /// Asks for room for so many bytes, and for an error after them, which takes some too.
    fn find_room(&self, count: usize, bytes_each: usize) -> Result<(), Fault> {
        boxed((self.room)((count as u64).saturating_mul(bytes_each as u64).saturating_add(ERROR_BYTES)))
    }

    fn text(&mut self) -> Result<&'p str, Fault> {
        boxed(self.reader.text())
    }

    fn name(&mut self, check: Check) -> Result<&'p str, Fault> {
        let text = self.text()?;
        check(text)?;
        Ok(text)
    }

    /// A list of names, in byte order, none twice.
    fn names(&mut self, check: Check) -> Result<Vec<&'p str>, Fault> {
        let mut names = Vec::new();
        for _ in 0..self.begin(NAME, &mut names)? {
            let name = self.name(check)?;
            ascending(names.last().is_none_or(|last| *last < name))?;
            names.push(name);
        }
        Ok(names)
    }

    /// What says of each entry of a list whether it is referred to: none yet.
    fn marks(&self, count: usize) -> Result<Vec<bool>, Fault> {
        self.find_room(count, 1)?;
        Ok(vec![false; count])
    }

    /// The number of an entry of a list that has so many.
    fn below(&mut self, what: &'static str, count: usize) -> Result<usize, Fault> {
        let number = boxed(self.reader.number())?;
        let place = number as usize;
        if place < count {
            Ok(place)
        } else {
            Err(Box::new(BundleError::UnknownNumber { what, number, count }))
        }
    }

    /// The same, and marks the entry as referred to.
    fn reference(&mut self, what: &'static str, used: &mut [bool]) -> Result<u32, Fault> {
        let place = self.below(what, used.len())?;
        if let Some(mark) = used.get_mut(place) {
            *mark = true;
        }
        Ok(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// Whether the roles go together.
    fn check(&self, roles: &[SourceRole<'p>]) -> Result<(), Fault> {
        let aliases = roles.iter().map(|role| role.aliases.len()).fold(roles.len(), usize::saturating_add);
        self.find_room(aliases.saturating_mul(CHECK_BYTES).saturating_add(self.length), 1)?;
        let names = roles.iter().map(|role| (role.name, role.name));
        let aliases = roles.iter().flat_map(|role| role.aliases.iter().map(|&alias| (alias, role.name)));
        boxed(alias_clash(&mut names.chain(aliases)))?;
        let parents = |role: usize| roles.get(role).map(|role| role.parents.as_slice()).unwrap_or_default();
        let name = |role: usize| roles.get(role).map(|role| role.name).unwrap_or_default();
        boxed(inheritance::check(roles.len(), &parents, &name))
    }
}

/// What a spelling may take while roles are checked: in a list of spellings, or a role on the path through those that inherit, and
/// beside its text in the circle that they are found to make.
const CHECK_BYTES: usize = 3 * size_of::<[usize; 8]>();

/// What any other error takes: itself, and a few names that it cites.
const ERROR_BYTES: u64 = 1024;

/// A policy is written in the one order.
fn ascending(so: bool) -> Result<(), Fault> {
    if so { Ok(()) } else { Err(Box::new(BundleError::NotCanonical)) }
}

/// Nothing is written that nobody refers to.
fn all_used(used: &[bool]) -> Result<(), Fault> {
    ascending(used.iter().all(|&used| used))
}
