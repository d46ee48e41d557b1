//! What a permission check means, and nothing else: no I/O, no clock, no randomness, no environment.
//!
//! A [`Policy`] is a closed catalog of permissions, roles that hold patterns and inherit roles, overrides for
//! single users, and conflicts between duties. [`Index::compile`] turns it into the form that answers questions
//! without matching a pattern and without allocating. Time is always an input ([`Timestamp`]).
//!
//! ```
//! use policy_core::{Index, Label, Pattern, Permission, PermissionName, Policy, PolicyParts, Request, Role, RoleName, Roles, Timestamp};
//!
//! let policy = Policy::new(PolicyParts {
//!     permissions: vec![Permission {
//!         name: PermissionName::parse("po.approve")?,
//!         module: Label::parse("purchasing")?,
//!         description: String::from("Approve a purchase order"),
//!     }],
//!     roles: vec![Role {
//!         name: RoleName::parse("PURCHASING_HEAD")?,
//!         grants: vec![Pattern::parse("po.*")?],
//!         aliases: vec![RoleName::parse("Purchasing Head")?],
//!         ..Role::named(RoleName::parse("PURCHASING_HEAD")?)
//!     }],
//!     ..PolicyParts::default()
//! })?;
//! let index = Index::compile(&policy)?;
//! let decision = index.decide(&Request {
//!     user: "42",
//!     roles: Roles::Named(&["Purchasing Head"]),
//!     permission: "po.approve",
//!     now: Timestamp::from_seconds(1_700_000_000),
//! });
//! assert_eq!(decision.to_string(), "allow: role `PURCHASING_HEAD` holds `po.*`");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rules are those of `SPEC.md`; items name the section they come from.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bundle;
mod catalog;
mod conflict;
mod decide;
mod diff;
mod error;
mod explain;
mod index;
pub mod keys;
mod limits;
mod lint;
mod name;
mod overrides;
mod pattern;
mod policy;
mod query;
mod role;
mod room;
pub mod route;
mod session;
mod set;
#[cfg(feature = "eddsa")]
pub mod signed;
mod table;
mod time;
pub mod token;

pub use bundle::{BundleError, ContentHash, FORMAT_VERSION, decode, encode};
pub use catalog::{Permission, PermissionId};
pub use conflict::{Conflict, ConflictBreach, breaches};
pub use decide::{Answer, Decision, Denial, Grant, Request, Roles};
pub use diff::{CatalogDiff, HolderDiff, PolicyDiff, diff};
pub use error::{Cycle, LimitError, PolicyError};
pub use explain::{Expired, Explanation, NearMiss, Rule};
pub use index::{Index, RoleId};
pub use limits::{
    COMPILE_STEPS_BASE, COMPILE_STEPS_PER_INPUT_BYTE, COMPILED_BYTES_BASE, COMPILED_BYTES_PER_INPUT_BYTE,
    MAX_INHERITANCE, MAX_NAME_BYTES, MAX_OVERRIDES, MAX_PERMISSIONS, MAX_ROLE_NAME_BYTES, MAX_ROLES,
    MAX_SEGMENT_BYTES, MAX_SEGMENTS, MAX_USER_ID_BYTES, MAX_USERS,
};
pub use lint::{Lint, NewlyGranted, lint, newly_granted};
pub use name::{Label, NameError, NameErrorKind, PermissionName, RoleName, UserId};
pub use overrides::{Effect, Override};
pub use pattern::{Pattern, PatternError, PatternErrorKind};
pub use policy::{Policy, PolicyParts, UserRoles};
pub use query::Holders;
pub use role::Role;
pub use room::Room;
pub use session::Session;
pub use time::Timestamp;
