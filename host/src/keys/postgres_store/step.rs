//! The steps of a change to the keys in the database.

use serde::{Serialize, Serializer};

use crate::migrate::step::{WorkStep, steps};

steps! {
    /// The steps of a change to the keys in the database, told when they begin. Until [`KeyStep::Commit`] begins nothing
    /// of it is there for anybody, and when [`KeyStep::Report`] begins all of it is.
    KeyStep {
        /// Looks at what is there and whether there is anything to do.
        Look: "look", "looking at the keys";
        /// Creates the tables where there are none and records the attempt; committed on its own.
        Attempt: "attempt", "recording the attempt";
        /// Begins the transaction and keeps every other pbac from changing keys.
        Lock: "lock", "taking the lock of the keys";
        /// Reads the keys again, now that nobody changes them, and plans.
        Plan: "plan", "planning";
        /// Wipes keys that are over, writes the new states and new keys.
        Keys: "keys", "writing the keys";
        /// Adds the names of revoked keys.
        Revocations: "revocations", "writing what was revoked";
        /// Reads everything back, and tries each key.
        Probe: "probe", "trying the keys";
        /// Tells the processes that listen, as soon as it is committed.
        Notify: "notify", "telling those who listen";
        /// Records the success.
        Audit: "audit", "recording the success";
        /// Makes it last.
        Commit: "commit", "committing";
        /// Writes the report file.
        Report: "report", "writing the report";
    }
}
