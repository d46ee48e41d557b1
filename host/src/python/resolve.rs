//! What a name stands for.

use super::project::Project;
use super::syntax::{Class, Expr, FromImport, Function, Kind, Statement};

/// How many steps from name to name are followed.
const MAX_STEPS: usize = 50;

/// What an expression stands for. The number is that of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'p> {
    /// An expression that is no name.
    Expr(usize, &'p Expr),
    /// A function of the project.
    Function(usize, &'p Function),
    /// A class of the project.
    Class(usize, &'p Class),
    /// A member of a class, by its name.
    Member(usize, &'p Class, &'p str, &'p Expr),
    /// A value that an instance gets from its class unless something sets another.
    Default(usize, &'p Expr),
    /// A file of the project.
    Module(usize),
    /// Something from outside the project, by its dotted name.
    External(String),
    /// What cannot be told: a parameter, a name that is bound twice, something computed.
    Unknown,
}

impl Project {
    /// What `expr` in the file number `module` stands for.
    #[must_use]
    pub fn resolve<'p>(&'p self, module: usize, expr: &'p Expr) -> Target<'p> {
        self.follow(module, expr, 0)
    }

    /// Whether a name means something at the top of a file.
    #[must_use]
    pub fn is_bound(&self, module: usize, name: &str) -> bool {
        self.named(module, name, 0) != Target::Unknown
    }

    fn follow<'p>(&'p self, module: usize, expr: &'p Expr, step: usize) -> Target<'p> {
        if step > MAX_STEPS {
            return Target::Unknown;
        }
        let next = step.saturating_add(1);
        match &expr.kind {
            Kind::Name(name) => self.named(module, name, next),
            Kind::Attribute(base, name) => match self.follow(module, base, next) {
                Target::Module(inner) => self.named(inner, name, next),
                Target::Class(inner, class) => member(inner, class, name),
                // A directory without `__init__.py` is no file, and what is in it may be one.
                Target::External(outer) => self.file_or_external(&format!("{outer}.{name}")),
                Target::Expr(inner, Expr { kind: Kind::Call(function, _), .. }) => {
                    match self.follow(inner, function, next) {
                        Target::Class(place, class) => match member(place, class, name) {
                            Target::Member(place, _, _, value) => Target::Default(place, value),
                            _ => Target::Unknown,
                        },
                        _ => Target::Unknown,
                    }
                }
                _ => Target::Unknown,
            },
            _ => Target::Expr(module, expr),
        }
    }

    /// What a name at the top of a file stands for.
    fn named<'p>(&'p self, module: usize, name: &str, step: usize) -> Target<'p> {
        let Some(file) = self.modules.get(module) else { return Target::Unknown };
        if step > MAX_STEPS {
            return Target::Unknown;
        }
        let mut found = Vec::new();
        for statement in &file.statements {
            match statement {
                Statement::Assign { name: bound, value } if bound == name => {
                    found.push(self.follow(module, value, step.saturating_add(1)));
                }
                Statement::Function(function) if function.name == name => {
                    found.push(Target::Function(module, function));
                }
                Statement::Class(class) if class.name == name => found.push(Target::Class(module, class)),
                Statement::Import { module: dotted, local, .. } => match local {
                    Some(local) if local == name => found.push(self.file_or_external(dotted)),
                    None if dotted.split('.').next() == Some(name) => {
                        found.push(self.file_or_external(name));
                    }
                    _ => {}
                },
                Statement::From(import) => found.extend(self.from(module, import, name, step)),
                _ => {}
            }
        }
        if found.is_empty() && file.package {
            // `package.module`, without an import in `__init__.py`.
            let dotted = if file.name.is_empty() { name.to_owned() } else { format!("{}.{name}", file.name) };
            found.extend(self.absolute(&dotted).map(Target::Module));
        }
        let first = found.pop().unwrap_or(Target::Unknown);
        if found.iter().all(|other| *other == first) { first } else { Target::Unknown }
    }

    fn from<'p>(&'p self, module: usize, import: &FromImport, name: &str, step: usize) -> Option<Target<'p>> {
        let bound = import.names.iter().find(|(_, local)| local == name);
        let Some(file) = self.imported(module, import.dots, &import.module) else {
            let (original, _) = bound?;
            // A package without `__init__.py` may still hold the file.
            let whole = format!("{}.{original}", import.module);
            let inner = self.imported(module, import.dots, whole.trim_start_matches('.'));
            return Some(inner.map_or(Target::External(whole), Target::Module));
        };
        match bound {
            Some((original, _)) => Some(self.named(file, original, step.saturating_add(1))),
            None if import.names.iter().any(|(_, local)| local == "*") => {
                match self.named(file, name, step.saturating_add(10)) {
                    Target::Unknown => None,
                    other => Some(other),
                }
            }
            None => None,
        }
    }

    fn file_or_external(&self, dotted: &str) -> Target<'_> {
        self.absolute(dotted).map_or_else(|| Target::External(dotted.to_owned()), Target::Module)
    }
}

fn member<'p>(module: usize, class: &'p Class, name: &str) -> Target<'p> {
    let found = class.members.iter().find(|(own, _)| own == name);
    found.map_or(Target::Unknown, |(own, value)| Target::Member(module, class, own, value))
}
