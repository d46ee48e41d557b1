//! What bounds a policy (SPEC section 6). Past a limit there is a named error that says the limit and the value.

/// The most permissions a catalog may hold.
pub const MAX_PERMISSIONS: usize = 65_535;
/// The most roles a policy may hold.
pub const MAX_ROLES: usize = 65_535;
/// The most user overrides a policy may hold.
pub const MAX_OVERRIDES: usize = 16_000_000;
/// The most users whose roles a policy may carry. SPEC names no number; this keeps every index in 32 bits.
pub const MAX_USERS: usize = 1 << 28;
/// The longest permission or pattern, in bytes.
pub const MAX_NAME_BYTES: usize = 100;
/// The most segments of a permission or pattern.
pub const MAX_SEGMENTS: usize = 8;
/// The longest segment, in bytes (SPEC section 1).
pub const MAX_SEGMENT_BYTES: usize = 63;
/// The longest role name, alias, module or conflict name, in bytes (SPEC section 2).
pub const MAX_ROLE_NAME_BYTES: usize = 128;
/// The longest user id, in bytes. SPEC calls ids opaque; a bound keeps a request's cost bounded.
pub const MAX_USER_ID_BYTES: usize = 256;
/// The most `inherits` steps from a role to the farthest role it inherits.
pub const MAX_INHERITANCE: usize = 16;

/// What the compiled form of the smallest policy may take, in bytes.
pub const COMPILED_BYTES_BASE: u64 = 1 << 16;
/// How many bytes of compiled form each byte of policy text may cost.
///
/// 65,535 roles with different sets over 65,535 permissions stay below it, so no policy within the other limits
/// is refused for the roles it has; a small hostile file that would unfold into gigabytes is.
pub const COMPILED_BYTES_PER_INPUT_BYTE: u64 = 1_024;
/// How many steps (a name compared with a pattern, a word of a bit set merged) any policy may cost to compile.
pub const COMPILE_STEPS_BASE: u64 = 1 << 20;
/// How many steps each byte of policy text may cost to compile.
pub const COMPILE_STEPS_PER_INPUT_BYTE: u64 = 512;
