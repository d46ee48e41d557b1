//! What to do about a server's refusal, where its code says more than that something failed.

use super::retry::SqlState;

/// What to do where nothing better is known. Every refusal ends the transaction that met it.
pub const REFUSAL_HELP: &str = "nothing of the transaction stays; correct the cause and run it again";

/// What to do about the server's refusal, for a person; nothing where its code does not say.
#[must_use]
pub fn refusal_help(error: &impl SqlState) -> Option<&'static str> {
    match error.sql_state()?.as_str() {
        "53100" => Some("nothing of the transaction stays; make room on the server's disk and run it again"),
        "25006" => Some(
            "nothing of the transaction stays; the server only reads, perhaps since a failover: give the URL of the primary",
        ),
        "57P01" | "57P02" | "57P03" => Some(
            "nothing of the transaction stays; the server was stopped or has failed: run it again when it is up",
        ),
        _ => None,
    }
}
