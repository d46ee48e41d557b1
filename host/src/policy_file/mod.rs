//! The policy as a file that people write and review: modules with their permissions, roles, conflicts, and where the
//! legacy roles lie. `examples/erp/policy.toml` is a whole one.

mod catalog;
mod conflicts;
mod roles;
mod signed_off;
mod source;

use std::fmt::Write;
use std::path::Path;

use policy_core::{Label, Policy, PolicyParts};
use sha2::{Digest, Sha256};
use toml::de::DeValue;

pub use crate::toml_file::TomlFileError as PolicyFileError;
use crate::toml_file::{self, Reader, Section};
pub use signed_off::{Gainer, SignOff};
pub use source::{
    Activity, Condition, Form, Hop, NullActive, PermissionWay, RoleWay, Source, SourceKind, SourcePath,
    Treatment,
};

/// The version of the format that is read.
pub const FORMAT_VERSION: i64 = 1;

/// A policy file that was read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// What the policy is called.
    pub name: String,
    /// The policy itself: catalog, roles and conflicts. It has neither users nor overrides.
    pub policy: Policy,
    /// Where the legacy roles lie, where the file says so.
    pub source: Option<Source>,
    /// Access that somebody gains by the migration and that a person answers for, in the order of the file.
    pub signed_off: Vec<SignOff>,
    /// SHA-256 of the file's text as it was, 64 hexadecimal digits.
    pub text_hash: String,
}

/// Reads and checks the policy file at `path`.
///
/// # Errors
///
/// When it cannot be read, has more than [`MAX_FILE_BYTES`](crate::toml_file::MAX_FILE_BYTES), is not UTF-8, or for
/// one of the reasons of [`parse`].
pub fn load(path: &Path) -> Result<PolicyFile, PolicyFileError> {
    toml_file::load(path, parse)
}

/// Checks the text of a policy file. `name` is how messages call the file.
///
/// ```
/// use pbac::policy_file::parse;
///
/// let file = parse("[policy]\nname = \"shop\"\nversion = 1\n", "shop.toml").unwrap();
/// assert_eq!(file.name, "shop");
/// let error = parse("[policy]\nname = \"shop\"\nversion = 2\n", "shop.toml").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "shop.toml:3:11: version 2 is not known; this program reads version 1\n3 | version = 2\n  |           ^"
/// );
/// ```
///
/// # Errors
///
/// Reports every fault it can find independently of the others, in the order of the file: what is no TOML, what is not
/// of this format, and what breaks a rule of SPEC sections 1, 2, 4 or 6.
pub fn parse(text: &str, name: &str) -> Result<PolicyFile, PolicyFileError> {
    toml_file::parse(text, name, |reader, root| read(reader, root, text))
}

fn read(reader: &mut Reader<'_>, root: &Section<'_, '_>, text: &str) -> Option<PolicyFile> {
    reader.only(root, &["policy", "modules", "roles", "conflicts", "source", "signed_off"]);
    let name = header(reader, root);
    let permissions = catalog::read(reader, root);
    let roles = roles::read(reader, root);
    let conflicts = conflicts::read(reader, root);
    let source = source::read(reader, root, source::Known { permissions: &permissions, roles: &roles });
    let signed_off = signed_off::read(reader, root, &permissions, &roles);
    let name = name.filter(|_| reader.is_content())?;
    // The readers above report what Policy::new refuses with a place; this is the proof, not the report.
    let parts = PolicyParts { permissions, roles, conflicts, ..PolicyParts::default() };
    let policy = reader.parsed(text, root.place(), |_| Policy::new(parts))?;
    Some(PolicyFile { name: name.to_string(), policy, source, signed_off, text_hash: sha256(text) })
}

fn header(reader: &mut Reader<'_>, root: &Section<'_, '_>) -> Option<Label> {
    let value = reader.required(root, "policy", "[policy]")?;
    let place = root.key_place("policy").unwrap_or(value.span());
    let section = reader.section(value, place, "`[policy]`".to_owned(), &["name", "version"])?;
    version(reader, &section);
    let (name, place) = reader.required_string(&section, "name", "name = \"…\"")?;
    reader.parsed(name, place, Label::parse)
}

fn version(reader: &mut Reader<'_>, section: &Section<'_, '_>) {
    let example = format!("version = {FORMAT_VERSION}");
    let Some(value) = reader.required(section, "version", &example) else { return };
    let DeValue::Integer(version) = value.get_ref() else {
        reader.fault(
            value.span(),
            format_args!("`version` of `[policy]` must be an integer; write `{example}`"),
        );
        return;
    };
    if i64::from_str_radix(version.as_str(), version.radix()) != Ok(FORMAT_VERSION) {
        reader.fault(
            value.span(),
            format_args!(
                "version {} is not known; this program reads version {FORMAT_VERSION}",
                version.as_str()
            ),
        );
    }
}

fn sha256(text: &str) -> String {
    let mut shown = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        // Writing to a string cannot fail.
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}
