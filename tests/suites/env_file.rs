//! `.env` files: what is read of them and what is not, held to what applications read them with; every byte but those of
//! the values stays; and whatever happens to a change on its way, the file is the old one or the new one.
//!
//! The cases are `tests/cases/env_files`. `PBAC_CASES` raises the number of random texts.

#[path = "env_file/cases.rs"]
mod cases;
#[path = "env_file/corpus.rs"]
mod corpus;
#[path = "env_file/crash.rs"]
mod crash;
#[path = "env_file/disk.rs"]
mod disk;
#[path = "env_file/folder.rs"]
mod folder;
#[path = "env_file/random.rs"]
mod random;
#[path = "env_file/together.rs"]
mod together;
#[path = "env_file/trouble.rs"]
mod trouble;
