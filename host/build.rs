//! Compiles the crate again when an SQL file is added: the macro that embeds `migrations/` sees changed files only.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
