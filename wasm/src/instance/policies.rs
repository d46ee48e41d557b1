//! Policies and their catalogs.

use super::{Instance, Object, flat};
use crate::code::{Code, number};
use crate::numbers::Numbers;
use crate::slots::Slots;
use alloc::boxed::Box;
use core::fmt::Write;
use policy_core::{Answer, Index, PermissionName};

/// A policy that was loaded.
pub(super) struct Loaded {
    pub(super) index: Index,
    pub(super) numbers: Numbers,
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
        match self.limit.read_bundle(bytes) {
            Ok(index) => Ok(Box::new(Loaded { numbers: Numbers::of(&index), index })),
            Err((code, reason)) => {
                if let Some(reason) = reason {
                    // Where there is no memory for all of the reason, its beginning has to do.
                    let _ = write!(output, "{reason}");
                }
                Err(code)
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
        let count = policy(&self.objects, handle).map(|loaded| loaded.numbers.count());
        flat(count.map(|count| i32::try_from(count).unwrap_or(i32::MAX)))
    }

    /// `pbac_permission_id`
    #[must_use]
    pub fn permission_id(&self, handle: i32, permission: i32) -> i32 {
        let found = policy(&self.objects, handle).and_then(|loaded| {
            let name = self.input.arguments().text(permission)?;
            Ok(match loaded.index.permission_id(name) {
                Some(id) => loaded.numbers.number(id),
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
            output.push(loaded.index.permission(loaded.numbers.id(permission)?).as_bytes())?;
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
