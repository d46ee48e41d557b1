//! From tree-sitter's tree to the declarations of a file.

use std::ops::Range;

use tree_sitter::{Node, Parser};

use super::syntax::{Argument, Class, Expr, FromImport, Function, Kind, Parameter, Statement};

/// How deep expressions and blocks may lie in each other; what is deeper is not looked at.
const MAX_DEPTH: usize = 100;
/// The most statements that loops over literal lists may unfold to, in one file.
const MAX_UNFOLDED: usize = 10_000;

/// What a file declares.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    /// The statements of the file, and those of functions that make the application.
    pub(super) statements: Vec<Statement>,
    /// Every name that occurs, with its place.
    pub(super) names: Vec<(String, Range<usize>)>,
    /// Where the syntax is wrong first.
    pub(super) error: Option<usize>,
}

/// Reads a file; `None` where the parser cannot be set up.
pub(super) fn lower(text: &str) -> Option<Lowered> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
    let tree = parser.parse(text, None)?;
    let root = tree.root_node();
    let mut reader = Reader { text, out: Lowered::default() };
    reader.names(root);
    reader.out.error = first_error(root);
    let mut statements = Vec::new();
    reader.block(root, 0, &mut statements);
    reader.out.statements = statements;
    Some(reader.out)
}

fn first_error(root: Node<'_>) -> Option<usize> {
    if !root.has_error() {
        return None;
    }
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if node.is_error() || node.is_missing() {
            return Some(node.start_byte());
        }
        let mut children: Vec<_> = node.children(&mut node.walk()).filter(Node::has_error).collect();
        children.reverse();
        open.extend(children);
    }
    Some(root.start_byte())
}

struct Reader<'t> {
    text: &'t str,
    out: Lowered,
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).filter(|child| child.kind() != "comment").collect()
}

impl Reader<'_> {
    fn text(&self, node: Node<'_>) -> String {
        self.text.get(node.byte_range()).unwrap_or_default().to_owned()
    }

    fn names(&mut self, root: Node<'_>) {
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            if node.kind() == "identifier" {
                self.out.names.push((self.text(node), node.byte_range()));
            }
            open.extend(children(node));
        }
    }

    fn block(&mut self, block: Node<'_>, depth: usize, into: &mut Vec<Statement>) {
        if depth < MAX_DEPTH {
            for child in children(block) {
                self.statement(child, depth, into);
            }
        }
    }

    fn statement(&mut self, node: Node<'_>, depth: usize, into: &mut Vec<Statement>) {
        match node.kind() {
            "import_statement" => self.import(node, into),
            "import_from_statement" => into.extend(self.imports_from(node).map(Statement::From)),
            "expression_statement" => {
                for child in children(node) {
                    into.extend(self.expression_statement(child));
                }
            }
            "function_definition" => self.function(node, Vec::new(), depth, into),
            "class_definition" => into.extend(self.class(node)),
            "decorated_definition" => {
                let decorators = children(node).into_iter().filter(|child| child.kind() == "decorator");
                let decorators =
                    decorators.filter_map(|child| children(child).first().map(|inner| self.expr(*inner, 0)));
                let decorators = decorators.collect();
                match node.child_by_field_name("definition") {
                    Some(inner) if inner.kind() == "function_definition" => {
                        self.function(inner, decorators, depth, into);
                    }
                    Some(inner) => into.extend(self.class(inner)),
                    None => {}
                }
            }
            "for_statement" => self.unfold(node, depth, into),
            "if_statement" | "try_statement" | "with_statement" | "else_clause" | "elif_clause"
            | "except_clause" | "finally_clause" | "block" => self.block(node, depth.saturating_add(1), into),
            _ => {}
        }
    }

    fn import(&self, node: Node<'_>, into: &mut Vec<Statement>) {
        for child in children(node) {
            let (module, local) = match child.kind() {
                "aliased_import" => (
                    child.child_by_field_name("name").map(|name| self.text(name)),
                    child.child_by_field_name("alias").map(|name| self.text(name)),
                ),
                _ => (Some(self.text(child)), None),
            };
            if let Some(module) = module {
                into.push(Statement::Import { module, local, range: node.byte_range() });
            }
        }
    }

    fn imports_from(&self, node: Node<'_>) -> Option<FromImport> {
        let written = self.text(node.child_by_field_name("module_name")?);
        let module = written.trim_start_matches('.');
        let mut names = Vec::new();
        for child in node.children_by_field_name("name", &mut node.walk()) {
            if child.kind() == "aliased_import" {
                let name = self.text(child.child_by_field_name("name")?);
                names.push((name, self.text(child.child_by_field_name("alias")?)));
            } else {
                names.push((self.text(child), self.text(child)));
            }
        }
        if children(node).iter().any(|child| child.kind() == "wildcard_import") {
            names.push(("*".to_owned(), "*".to_owned()));
        }
        Some(FromImport {
            dots: written.len().saturating_sub(module.len()),
            module: module.trim().to_owned(),
            names,
            range: node.byte_range(),
        })
    }

    fn expression_statement(&self, node: Node<'_>) -> Option<Statement> {
        if node.kind() != "assignment" {
            return Some(Statement::Expression(self.expr(node, 0)));
        }
        let left = node.child_by_field_name("left").filter(|left| left.kind() == "identifier")?;
        Some(Statement::Assign {
            name: self.text(left),
            value: self.expr(node.child_by_field_name("right")?, 0),
        })
    }

    /// A function; where it makes the application, its statements count as the file's.
    fn function(&mut self, node: Node<'_>, decorators: Vec<Expr>, depth: usize, into: &mut Vec<Statement>) {
        let (Some(name), Some(body)) = (node.child_by_field_name("name"), node.child_by_field_name("body"))
        else {
            return;
        };
        let parameters = node.child_by_field_name("parameters").map(children).unwrap_or_default();
        let parameters = parameters.into_iter().map(|parameter| Parameter {
            annotation: parameter.child_by_field_name("type").map(|inner| self.expr(inner, 0)),
            default: parameter.child_by_field_name("value").map(|inner| self.expr(inner, 0)),
        });
        into.push(Statement::Function(Function {
            name: self.text(name),
            decorators,
            parameters: parameters.collect(),
            body: body.byte_range(),
            range: node.byte_range(),
        }));
        let mut inner = Vec::new();
        self.block(body, depth.saturating_add(1), &mut inner);
        let makes = |statement: &Statement| match statement {
            Statement::Assign { value: Expr { kind: Kind::Call(function, _), .. }, .. } => {
                function.last_name() == Some("FastAPI")
            }
            _ => false,
        };
        if inner.iter().any(makes) {
            into.append(&mut inner);
        }
    }

    fn class(&mut self, node: Node<'_>) -> Option<Statement> {
        let name = self.text(node.child_by_field_name("name")?);
        let bases = node.child_by_field_name("superclasses").map(children).unwrap_or_default();
        let bases = bases.into_iter().map(|base| self.expr(base, 0)).collect();
        let mut body = Vec::new();
        self.block(node.child_by_field_name("body")?, MAX_DEPTH.saturating_sub(1), &mut body);
        let members = body.into_iter().filter_map(|statement| match statement {
            Statement::Assign { name, value } => Some((name, value)),
            _ => None,
        });
        Some(Statement::Class(Class { name, bases, members: members.collect() }))
    }

    /// A loop over a literal list, turn by turn.
    fn unfold(&mut self, node: Node<'_>, depth: usize, into: &mut Vec<Statement>) {
        let (Some(left), Some(right), Some(body)) = (
            node.child_by_field_name("left"),
            node.child_by_field_name("right"),
            node.child_by_field_name("body"),
        ) else {
            return;
        };
        let mut inner = Vec::new();
        self.block(body, depth.saturating_add(1), &mut inner);
        let Expr { kind: Kind::List(items), .. } = self.expr(right, 0) else {
            into.append(&mut inner);
            return;
        };
        let name = self.text(left);
        for item in items {
            for statement in &inner {
                if into.len() >= MAX_UNFOLDED {
                    return;
                }
                into.push(match statement {
                    Statement::Expression(expr) => Statement::Expression(expr.replaced(&name, &item)),
                    other => other.clone(),
                });
            }
        }
    }

    fn expr(&self, node: Node<'_>, depth: usize) -> Expr {
        let kind = if depth < MAX_DEPTH { self.kind(node, depth.saturating_add(1)) } else { Kind::Other };
        // Parentheses and the wrapper of a type are no expressions of their own.
        match kind {
            Kind::List(mut items) if matches!(node.kind(), "parenthesized_expression" | "type") => {
                items.pop().unwrap_or(Expr { kind: Kind::Other, range: node.byte_range() })
            }
            kind => Expr { kind, range: node.byte_range() },
        }
    }

    fn kind(&self, node: Node<'_>, depth: usize) -> Kind {
        let field = |name| node.child_by_field_name(name).map(|inner| Box::new(self.expr(inner, depth)));
        let all = |nodes: Vec<Node<'_>>| nodes.into_iter().map(|inner| self.expr(inner, depth)).collect();
        let known = match node.kind() {
            "identifier" => Some(Kind::Name(self.text(node))),
            "attribute" | "member_type" => field("object")
                .zip(node.child_by_field_name("attribute"))
                .map(|(object, name)| Kind::Attribute(object, self.text(name))),
            "string" => self.string(node, depth),
            "concatenated_string" => Some(Kind::Format(all(children(node)))),
            "call" => field("function").zip(node.child_by_field_name("arguments")).map(|(function, list)| {
                let arguments = children(list).into_iter().map(|inner| self.argument(inner, depth));
                Kind::Call(function, arguments.collect())
            }),
            "list" | "tuple" | "set" | "parenthesized_expression" | "type" | "expression_list" => {
                Some(Kind::List(all(children(node))))
            }
            "list_splat" => {
                children(node).first().map(|inner| Kind::Star(Box::new(self.expr(*inner, depth))))
            }
            "dictionary" => {
                let pairs = children(node).into_iter().map(|pair| {
                    Some((
                        self.expr(pair.child_by_field_name("key")?, depth),
                        self.expr(pair.child_by_field_name("value")?, depth),
                    ))
                });
                pairs.collect::<Option<Vec<_>>>().map(Kind::Dict)
            }
            "binary_operator" => {
                let operator = node.child_by_field_name("operator").map(|inner| self.text(inner));
                let joins = operator.is_some_and(|operator| operator == "+" || operator == "|");
                field("left")
                    .zip(field("right"))
                    .filter(|_| joins)
                    .map(|(left, right)| Kind::Join(left, right))
            }
            "subscript" => field("value").map(|base| {
                let items = node.children_by_field_name("subscript", &mut node.walk()).collect();
                Kind::Index(base, all(items))
            }),
            "generic_type" => {
                let parts = children(node);
                parts.split_first().map(|(base, rest)| {
                    let items = rest.iter().flat_map(|list| children(*list)).collect();
                    Kind::Index(Box::new(self.expr(*base, depth)), all(items))
                })
            }
            _ => None,
        };
        known.unwrap_or(Kind::Other)
    }

    fn argument(&self, node: Node<'_>, depth: usize) -> Argument {
        let name = node.child_by_field_name("name").filter(|_| node.kind() == "keyword_argument");
        let value = node.child_by_field_name("value").filter(|_| name.is_some()).unwrap_or(node);
        Argument {
            name: name.map(|name| self.text(name)),
            value: self.expr(value, depth),
            range: node.byte_range(),
        }
    }

    /// A string without escapes; one with escapes or of bytes is not needed anywhere and not understood.
    fn string(&self, node: Node<'_>, depth: usize) -> Option<Kind> {
        let parts = children(node);
        let start = parts.first().filter(|start| start.kind() == "string_start")?;
        if self.text(*start).to_lowercase().contains('b') {
            return None;
        }
        let mut found = Vec::new();
        for part in parts {
            match part.kind() {
                "string_start" | "string_end" => {}
                "string_content" if children(part).is_empty() => {
                    found.push(Expr { kind: Kind::Text(self.text(part)), range: part.byte_range() });
                }
                "interpolation" => found.push(self.expr(part.child_by_field_name("expression")?, depth)),
                _ => return None,
            }
        }
        match found.as_slice() {
            [] => Some(Kind::Text(String::new())),
            [Expr { kind: Kind::Text(text), .. }] => Some(Kind::Text(text.clone())),
            _ => Some(Kind::Format(found)),
        }
    }
}
