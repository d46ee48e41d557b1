//! The part of Python's syntax that declarations are made of, with the place of everything in the text.

use std::ops::Range;

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Its bytes in the file.
    pub range: Range<usize>,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name.
    Name(String),
    /// `base.name`.
    Attribute(Box<Expr>, String),
    /// A string whose value is known.
    Text(String),
    /// An f-string: its parts in order.
    Format(Vec<Expr>),
    /// A call.
    Call(Box<Expr>, Vec<Argument>),
    /// A list, a tuple or a set.
    List(Vec<Expr>),
    /// `*list`.
    Star(Box<Expr>),
    /// A dictionary.
    Dict(Vec<(Expr, Expr)>),
    /// `left + right` or `left | right`.
    Join(Box<Expr>, Box<Expr>),
    /// `base[items]`.
    Index(Box<Expr>, Vec<Expr>),
    /// Anything else.
    Other,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The keyword, if it has one.
    pub name: Option<String>,
    /// The value.
    pub value: Expr,
    /// Keyword and value.
    pub range: Range<usize>,
}

/// A statement that declares something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `import module as local`.
    Import {
        /// The dotted name.
        module: String,
        /// The name that it gets; without one the first segment.
        local: Option<String>,
        /// The whole statement.
        range: Range<usize>,
    },
    /// `from module import name as local, …`.
    From(FromImport),
    /// `name = value`.
    Assign {
        /// The name.
        name: String,
        /// What it is bound to.
        value: Expr,
    },
    /// `def`.
    Function(Function),
    /// `class`.
    Class(Class),
    /// An expression that stands alone.
    Expression(Expr),
}

/// A `from` import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromImport {
    /// How many dots it begins with.
    pub dots: usize,
    /// The dotted name after them.
    pub module: String,
    /// Each name, and the name that it gets here.
    pub names: Vec<(String, String)>,
    /// The whole statement.
    pub range: Range<usize>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What stands after each `@`.
    pub decorators: Vec<Expr>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The bytes of its body.
    pub body: Range<usize>,
    /// The bytes from `def` to its end.
    pub range: Range<usize>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its type, where it has one.
    pub annotation: Option<Expr>,
    /// Its default, where it has one.
    pub default: Option<Expr>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub bases: Vec<Expr>,
    /// What is assigned in its body.
    pub members: Vec<(String, Expr)>,
}

impl Expr {
    /// The last segment of a name: `require_roles` of `security.require_roles`.
    #[must_use]
    pub fn last_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Name(name) | Kind::Attribute(_, name) => Some(name),
            _ => None,
        }
    }

    /// The same with `with` in place of each `name`.
    #[must_use]
    pub(super) fn replaced(&self, name: &str, with: &Self) -> Self {
        let each = |list: &[Self]| list.iter().map(|one| one.replaced(name, with)).collect();
        let boxed = |one: &Self| Box::new(one.replaced(name, with));
        let kind = match &self.kind {
            Kind::Name(own) if own == name => return with.clone(),
            Kind::Attribute(base, own) => Kind::Attribute(boxed(base), own.clone()),
            Kind::Call(function, arguments) => {
                let argument =
                    |one: &Argument| Argument { value: one.value.replaced(name, with), ..one.clone() };
                Kind::Call(boxed(function), arguments.iter().map(argument).collect())
            }
            Kind::List(items) => Kind::List(each(items)),
            Kind::Star(inner) => Kind::Star(boxed(inner)),
            Kind::Join(left, right) => Kind::Join(boxed(left), boxed(right)),
            Kind::Index(base, items) => Kind::Index(boxed(base), each(items)),
            other => other.clone(),
        };
        Self { kind, range: self.range.clone() }
    }
}
