//! The steps of a change to a `.env` file.

use serde::{Serialize, Serializer};

use crate::migrate::step::{WorkStep, steps};

steps! {
    /// The steps of a change to a `.env` file, told when they begin. Until [`Step::SyncDirectory`] begins the old file is
    /// in its place, from then on the new one; there is no moment without one of them, whole.
    Step {
        /// Looks at the file, and makes sure that a new one could take its place.
        Check: "check", "looking at the file";
        /// Keeps every other pbac from changing it.
        Lock: "lock", "taking the file's lock";
        /// Removes what a run left behind that was killed.
        Tidy: "tidy", "removing what an earlier run left behind";
        /// Reads it, now that nobody changes it.
        Read: "read", "reading the file";
        /// Writes the backup under a passing name.
        Backup: "backup", "writing the backup";
        /// Gives the backup its name.
        NameBackup: "name_backup", "giving the backup its name";
        /// Removes backups that are too many.
        Prune: "prune", "removing old backups";
        /// Writes the new text beside the file.
        Write: "write", "writing the new text beside the file";
        /// Makes it last.
        Sync: "sync", "syncing the new text";
        /// Compares the file with what was read.
        Compare: "compare", "comparing the file with what was read";
        /// Puts the new file in the old one's place.
        Rename: "rename", "putting the new file in its place";
        /// Makes the new name last.
        SyncDirectory: "sync_directory", "syncing the directory";
        /// Reads the file again, and compares it with what was written.
        ReadBack: "read_back", "reading the file back";
        /// Lets the caller try what is in it.
        Probe: "probe", "trying the new text";
        /// Puts the old text back, where the new one is not what it should be.
        PutBack: "put_back", "putting the old text back";
    }
}
