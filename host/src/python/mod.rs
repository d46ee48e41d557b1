//! Python source as far as declarations go: what a name stands for, across the files of a project. Nothing is run.

mod lower;
mod project;
mod resolve;
mod syntax;

pub use project::{Module, Project};
pub use resolve::Target;
pub use syntax::{Argument, Class, Expr, FromImport, Function, Kind, Parameter, Statement};
