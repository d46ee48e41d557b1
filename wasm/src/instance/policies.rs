//! Policies and their catalogs.

use super::{Instance, Object, flat};
use crate::code::{Code, number};
use crate::slots::Slots;
use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt::Write;
use policy_core::{Answer, Index, LimitError, PermissionId, PermissionName};

/// A policy that was loaded.
pub(super) struct Loaded {
    pub(super) index: Index,
    /// The upper bits of its permission numbers: 15 bits of its content hash.
    pub(super) tag: i32,
    pub(super) permissions: usize,
}

impl Loaded {
    fn new(index: Index) -> Self {
        let [first, second, ..] = index.content_hash().0;
        let tag = i32::from(u16::from_be_bytes([first, second]) >> 1) << 16;
        let permissions = index.permissions().len();
        Self { index, tag, permissions }
    }

    fn number(&self, id: PermissionId) -> i32 {
        // A place has 16 bits.
        self.tag | i32::try_from(id.index()).unwrap_or(0)
    }

    pub(super) fn id(&self, number: i32) -> Result<PermissionId, Code> {
        place(number, self.tag, self.permissions)
    }
}

/// The permission of a number, where the policy has this tag and so many permissions.
#[inline(always)]
pub(super) fn place(number: i32, tag: i32, permissions: usize) -> Result<PermissionId, Code> {
    let place = (number & 0xffff) as usize;
    match PermissionId::from_index(place) {
        Some(id) if place < permissions && number & !0xffff == tag => Ok(id),
        _ => Err(Code::BadPermission),
    }
}

#[inline(always)]
pub(super) fn policy(objects: &Slots<Object>, handle: i32) -> Result<&Loaded, Code> {
    match objects.get(handle)? {
        Object::Policy(loaded) => Ok(loaded),
        _ => Err(Code::BadHandle),
    }
}

impl Instance {
    /// `pbac_policy_load`
    pub fn policy_load(&mut self, bundle: i32) -> i32 {
        self.output.begin(self.limit);
        let handle = self.objects.reserve().and_then(|()| self.read_bundle(bundle));
        flat(handle.and_then(|loaded| self.objects.insert(Object::Policy(loaded))))
    }

    /// `pbac_policy_replace`
    pub fn policy_replace(&mut self, handle: i32, bundle: i32) -> i32 {
        self.output.begin(self.limit);
        let known = policy(&self.objects, handle).map(|_| ());
        let replaced = known.and_then(|()| self.read_bundle(bundle)).and_then(|loaded| {
            *self.objects.get_mut(handle)? = Object::Policy(loaded);
            self.close_sessions(handle);
            Ok(0)
        });
        flat(replaced)
    }

    fn read_bundle(&mut self, bundle: i32) -> Result<Box<Loaded>, Code> {
        let output = self.output.begin(self.limit);
        let bytes = self.input.arguments().bytes(bundle)?;
        let full = Cell::new(false);
        let room = |bytes: u64| {
            self.limit.room(bytes).map_err(|_| {
                full.set(true);
                LimitError { limit: "bytes of memory", max: self.limit.0 as u64, value: bytes }
            })
        };
        match Index::from_bundle_within(bytes, &room) {
            Ok(index) => Ok(Box::new(Loaded::new(index))),
            Err(_) if full.get() => Err(Code::OutOfMemory),
            Err(error) => {
                // Where there is no memory for all of the reason, its beginning has to do.
                let _ = write!(output, "{error}");
                Err(Code::BadBundle)
            }
        }
    }

    /// `pbac_policy_hash`
    pub fn policy_hash(&mut self, handle: i32) -> i32 {
        let output = self.output.begin(self.limit);
        let written = policy(&self.objects, handle).and_then(|loaded| {
            output.push(&loaded.index.content_hash().0)?;
            Ok(output.length())
        });
        flat(written)
    }

    /// `pbac_permission_count`
    #[must_use]
    pub fn permission_count(&self, handle: i32) -> i32 {
        let count = policy(&self.objects, handle).map(|loaded| loaded.permissions);
        flat(count.map(|count| i32::try_from(count).unwrap_or(i32::MAX)))
    }

    /// `pbac_permission_id`
    #[must_use]
    pub fn permission_id(&self, handle: i32, permission: i32) -> i32 {
        let found = policy(&self.objects, handle).and_then(|loaded| {
            let name = self.input.arguments().text(permission)?;
            Ok(match loaded.index.permission_id(name) {
                Some(id) => loaded.number(id),
                None if PermissionName::parse(name).is_ok() => number(Answer::UnknownPermission),
                None => number(Answer::InvalidRequest),
            })
        });
        flat(found)
    }

    /// `pbac_permission_name`
    pub fn permission_name(&mut self, handle: i32, permission: i32) -> i32 {
        let output = self.output.begin(self.limit);
        let written = policy(&self.objects, handle).and_then(|loaded| {
            output.push(loaded.index.permission(loaded.id(permission)?).as_bytes())?;
            Ok(output.length())
        });
        flat(written)
    }

    /// `pbac_catalog`
    pub fn catalog(&mut self, handle: i32) -> i32 {
        let output = self.output.begin(self.limit);
        let written =
            policy(&self.objects, handle).and_then(|loaded| output.lines(loaded.index.permissions()));
        flat(output.finish(written))
    }
}
