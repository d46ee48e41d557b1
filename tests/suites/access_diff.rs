//! The access difference of every user, held to a brute-force oracle, and what it stops.

#[path = "access_diff/command.rs"]
mod command;
#[path = "access_diff/generated.rs"]
mod generated;
#[path = "access_diff/own_permissions.rs"]
mod own_permissions;
#[path = "access_diff/scale.rs"]
mod scale;
#[path = "access_diff/shop.rs"]
mod shop;
#[path = "access_diff/sign_offs.rs"]
mod sign_offs;
