//! The payload of a bundle: lists in byte order, texts written once, references as numbers.
//!
//! ```text
//! modules      list of texts
//! permissions  list of: name, module (its number), description
//! roles        list of: name, description, grants (texts), inherits (numbers of roles), aliases (texts)
//! conflicts    list of: name, left, right, reason
//! overrides    list of: user, 1 to allow or 0 to deny, pattern, expiry (0, or 1 and microseconds), reason
//! spellings    list of texts: every spelling by which a user's roles are named, known to the policy or not
//! users        list of: user, spellings (their numbers)
//! ```
//! As postcard has it: numbers and lengths of texts and lists are varints, microseconds in zigzag. Read here by hand, since what serde
//! makes of it is several times as much code, which every WebAssembly module would carry.

pub(crate) mod lists;
mod outline;
mod reader;

use super::BundleError;
use crate::catalog::Permission;
use crate::conflict::Conflict;
use crate::name::{Label, PermissionName, RoleName, UserId};
use crate::overrides::{Effect, Override};
use crate::pattern::Pattern;
use crate::policy::{Policy, PolicyParts, UserRoles, position};
use crate::role::Role;
use crate::time::Timestamp;
use alloc::string::String;
use alloc::vec::Vec;
use outline::Outline;
use reader::{Malformed, Reader};

/// The policy of a payload.
pub(super) fn read(payload: &[u8]) -> Result<Policy, BundleError> {
    let outline = Outline::read(payload).map_err(Malformed::into_error)?;
    if outline.trailing > 0 {
        return Err(BundleError::TrailingBytes(outline.trailing));
    }
    Ok(Policy::new(parts(Reader::new(payload), &outline)?)?)
}

fn parts(mut reader: Reader<'_>, outline: &Outline<'_>) -> Result<PolicyParts, BundleError> {
    let reader = &mut reader;
    let mut parts = PolicyParts::default();
    reader.each(|reader| reader.text().map(drop))?;
    reader.each(|reader| {
        let name = PermissionName::parse(reader.text()?)?;
        let module = Label::parse(outline.numbered("module", &outline.modules, reader.number()?)?)?;
        parts.permissions.push(Permission { name, module, description: String::from(reader.text()?) });
        Ok::<_, BundleError>(())
    })?;
    reader.each(|reader| {
        let mut role = Role::named(RoleName::parse(reader.text()?)?);
        role.description.push_str(reader.text()?);
        reader.each(|reader| {
            role.grants.push(Pattern::parse(reader.text()?)?);
            Ok::<_, BundleError>(())
        })?;
        reader.each(|reader| {
            role.inherits.push(RoleName::parse(outline.numbered(
                "role",
                &outline.roles,
                reader.number()?,
            )?)?);
            Ok::<_, BundleError>(())
        })?;
        reader.each(|reader| {
            role.aliases.push(RoleName::parse(reader.text()?)?);
            Ok::<_, BundleError>(())
        })?;
        parts.roles.push(role);
        Ok::<_, BundleError>(())
    })?;
    reader.each(|reader| {
        parts.conflicts.push(Conflict {
            name: Label::parse(reader.text()?)?,
            left: Pattern::parse(reader.text()?)?,
            right: Pattern::parse(reader.text()?)?,
            reason: String::from(reader.text()?),
        });
        Ok::<_, BundleError>(())
    })?;
    reader.each(|reader| {
        parts.overrides.push(Override {
            user: UserId::parse(reader.text()?)?,
            effect: if reader.flag()? { Effect::Allow } else { Effect::Deny },
            pattern: Pattern::parse(reader.text()?)?,
            expires_at: reader.moment()?.map(Timestamp::from_micros),
            reason: String::from(reader.text()?),
        });
        Ok::<_, BundleError>(())
    })?;
    reader.each(|reader| reader.text().map(drop))?;
    reader.each(|reader| {
        let mut entry = UserRoles { user: UserId::parse(reader.text()?)?, roles: Vec::new() };
        reader.each(|reader| {
            let spelling = outline.numbered("role spelling", &outline.spellings, reader.number()?)?;
            entry.roles.push(RoleName::parse(spelling)?);
            Ok::<_, BundleError>(())
        })?;
        parts.users.push(entry);
        Ok::<_, BundleError>(())
    })?;
    Ok(parts)
}

/// The payload of a policy.
pub(super) fn write(policy: &Policy) -> Vec<u8> {
    let modules = distinct(policy.permissions().iter().map(|entry| entry.module.as_str()).collect());
    let spellings = spellings(policy);
    let mut out = Writer(Vec::new());
    out.texts(modules.iter().copied());
    out.count(policy.permissions().len());
    for entry in policy.permissions() {
        out.text(entry.name.as_str());
        out.reference(position(&modules, entry.module.as_str(), |text| text));
        out.text(&entry.description);
    }
    out.count(policy.roles().len());
    for role in policy.roles() {
        out.text(role.name.as_str());
        out.text(&role.description);
        out.texts(role.grants.iter().map(Pattern::as_str));
        out.count(role.inherits.len());
        for name in &role.inherits {
            out.reference(position(policy.roles(), name.as_str(), |role| role.name.as_str()));
        }
        out.texts(role.aliases.iter().map(RoleName::as_str));
    }
    out.count(policy.conflicts().len());
    for conflict in policy.conflicts() {
        for text in
            [conflict.name.as_str(), conflict.left.as_str(), conflict.right.as_str(), &conflict.reason]
        {
            out.text(text);
        }
    }
    out.count(policy.overrides().len());
    for entry in policy.overrides() {
        out.text(entry.user.as_str());
        out.0.push(u8::from(entry.effect == Effect::Allow));
        out.text(entry.pattern.as_str());
        out.moment(entry.expires_at.map(Timestamp::micros));
        out.text(&entry.reason);
    }
    out.texts(spellings.iter().copied());
    out.count(policy.users().len());
    for entry in policy.users() {
        out.text(entry.user.as_str());
        out.count(entry.roles.len());
        for role in &entry.roles {
            out.reference(position(&spellings, role.as_str(), |text| text));
        }
    }
    out.0
}

/// Every spelling by which a user's roles are named.
pub(crate) fn spellings(policy: &Policy) -> Vec<&str> {
    distinct(policy.users().iter().flat_map(|entry| &entry.roles).map(RoleName::as_str).collect())
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(0x80 | (number & 0x7f) as u8);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// The place of an entry that is known to be in its list.
    fn reference(&mut self, place: Option<usize>) {
        self.number(place.map_or(u64::from(u32::MAX), |place| place as u64));
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.count(texts.len());
        texts.for_each(|text| self.text(text));
    }

    fn moment(&mut self, micros: Option<i64>) {
        self.0.push(u8::from(micros.is_some()));
        if let Some(micros) = micros {
            self.number(((micros << 1) ^ (micros >> 63)).cast_unsigned());
        }
    }
}

/// The texts in byte order, none twice.
pub(crate) fn distinct(mut list: Vec<&str>) -> Vec<&str> {
    list.sort_unstable();
    list.dedup();
    list
}
