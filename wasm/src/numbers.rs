//! Numbers for permissions, which stand for nothing in another policy.

use crate::code::Code;
use policy_core::{Index, PermissionId};

/// Which numbers stand for the permissions of one policy: their places in the catalog, below 15 bits of its content hash.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// The upper bits.
    tag: i32,
    permissions: usize,
}

impl Numbers {
    /// Those of a policy.
    #[must_use]
    pub fn of(index: &Index) -> Self {
        let [first, second, ..] = index.content_hash().0;
        let tag = i32::from(u16::from_be_bytes([first, second]) >> 1) << 16;
        Self { tag, permissions: index.permissions().len() }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> usize {
        self.permissions
    }

    /// The bits of the content hash, as a number of their own.
    pub(crate) const fn tag(self) -> i32 {
        self.tag >> 16
    }

    /// The number of a permission: never negative.
    #[must_use]
    pub fn number(self, id: PermissionId) -> i32 {
        // A place has 16 bits.
        self.tag | i32::try_from(id.index()).unwrap_or(0)
    }

    /// The permission of a number.
    ///
    /// # Errors
    ///
    /// [`Code::BadPermission`] when it stands for none of this policy.
    #[inline(always)]
    pub fn id(self, number: i32) -> Result<PermissionId, Code> {
        let place = (number & 0xffff) as usize;
        match PermissionId::from_index(place) {
            Some(id) if place < self.permissions && number & !0xffff == self.tag => Ok(id),
            _ => Err(Code::BadPermission),
        }
    }
}
