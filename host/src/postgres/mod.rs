//! What pbac stands on: a connection to PostgreSQL, locks, names, and a private server where there is none.

mod identifier;

pub use identifier::{
    Identifier, IdentifierError, IdentifierErrorKind, MAX_IDENTIFIER_BYTES, QualifiedName,
};
