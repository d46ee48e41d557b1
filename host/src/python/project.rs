//! The files of a project, and how they import each other.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::lower::lower;
use super::syntax::Statement;
use crate::error::HostError;
use crate::report::files::{line_and_column, read_text};

/// The most bytes of one file that are read: 2 MiB.
const MAX_FILE_BYTES: u64 = 2 << 20;
/// The most files that are read.
const MAX_FILES: usize = 10_000;
/// Directories that hold no source of the application.
const SKIPPED: [&str; 5] = ["__pycache__", "node_modules", "site-packages", "venv", "env"];

/// A file.
#[derive(Debug)]
pub struct Module {
    /// Where it lies, as a person would write it.
    pub path: PathBuf,
    /// Its dotted name, counted from the project's directory; `""` for that directory's own `__init__.py`.
    pub name: String,
    /// Whether it is an `__init__.py`.
    pub package: bool,
    /// Its text.
    pub text: String,
    /// What it declares.
    pub statements: Vec<Statement>,
    /// Every name that occurs, with its place.
    pub names: Vec<(String, Range<usize>)>,
    /// Where its syntax is wrong first.
    pub error: Option<usize>,
}

/// The files below a directory.
#[derive(Debug)]
pub struct Project {
    /// The files, by path.
    pub modules: Vec<Module>,
    /// The directory's own name, by which its files may import each other.
    root: String,
    by_name: HashMap<String, usize>,
}

impl Project {
    /// Reads every `.py` file below `directory`, but for hidden directories and those of installed packages.
    ///
    /// # Errors
    ///
    /// When the directory or a file cannot be read, is too large, or there is no file at all.
    pub fn read(directory: &Path) -> Result<Self, HostError> {
        let mut files = Vec::new();
        find(directory, &mut files)?;
        files.sort();
        let mut texts = Vec::new();
        for path in files {
            let text = read_text(&path, MAX_FILE_BYTES)?;
            texts.push((path, text));
        }
        if texts.is_empty() {
            return Err(HostError::failed(format_args!("`{}` holds no `.py` file", directory.display()))
                .help("name the directory of the application's source"));
        }
        Self::parse(directory, texts)
    }

    /// Takes files that were read, each with its path below `directory`.
    ///
    /// # Errors
    ///
    /// When the parser cannot be set up.
    pub fn parse(directory: &Path, files: Vec<(PathBuf, String)>) -> Result<Self, HostError> {
        let whole = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        let root = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut modules = Vec::with_capacity(files.len());
        for (path, text) in files {
            let lowered =
                lower(&text).ok_or_else(|| HostError::failed("the parser for Python cannot be set up"))?;
            let below = path.strip_prefix(directory).unwrap_or(&path).with_extension("");
            let mut segments: Vec<_> =
                below.iter().map(|segment| segment.to_string_lossy().into_owned()).collect();
            let package = segments.last().is_some_and(|last| last == "__init__");
            if package {
                segments.pop();
            }
            modules.push(Module {
                name: segments.join("."),
                package,
                path,
                text,
                statements: lowered.statements,
                names: lowered.names,
                error: lowered.error,
            });
        }
        let by_name =
            modules.iter().enumerate().map(|(place, module)| (module.name.clone(), place)).collect();
        Ok(Self { modules, root, by_name })
    }

    /// The files with their texts as they are now, for a second look.
    #[must_use]
    pub fn texts(&self) -> Vec<(PathBuf, String)> {
        self.modules.iter().map(|module| (module.path.clone(), module.text.clone())).collect()
    }

    /// `file:line` of a place.
    #[must_use]
    pub fn place(&self, module: usize, at: usize) -> String {
        let Some(module) = self.modules.get(module) else { return String::new() };
        format!("{}:{}", module.path.display(), line_and_column(&module.text, at).0)
    }

    /// The file of an absolute dotted name, with or without the project directory's own name in front.
    pub(super) fn absolute(&self, name: &str) -> Option<usize> {
        let inner = match name.strip_prefix(self.root.as_str()) {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix('.'),
            None => None,
        };
        let inner = inner.and_then(|inner| self.by_name.get(inner));
        inner.or_else(|| self.by_name.get(name).filter(|_| !name.is_empty())).copied()
    }

    /// The file that `from {dots}{name}` means in `module`.
    #[must_use]
    pub fn imported(&self, module: usize, dots: usize, name: &str) -> Option<usize> {
        let Some(up) = dots.checked_sub(1) else { return self.absolute(name) };
        self.by_name.get(&self.relative(module, up, name)?).copied()
    }

    fn relative(&self, module: usize, up: usize, name: &str) -> Option<String> {
        let module = self.modules.get(module)?;
        let mut segments: Vec<&str> = module.name.split('.').filter(|segment| !segment.is_empty()).collect();
        let drop = if module.package { up } else { up.saturating_add(1) };
        segments.truncate(segments.len().checked_sub(drop)?);
        segments.extend(name.split('.').filter(|segment| !segment.is_empty()));
        Some(segments.join("."))
    }

    /// How a file imports another one, written as it imports the project's files already.
    #[must_use]
    pub fn import_of(&self, from: usize, target: usize) -> Option<String> {
        let (module, target) = (self.modules.get(from)?, self.modules.get(target)?);
        let mut rooted = true;
        for statement in &module.statements {
            let Statement::From(import) = statement else { continue };
            if self.imported(from, import.dots, &import.module).is_none() {
                continue;
            }
            if import.dots > 0 {
                let own: Vec<&str> = module.name.split('.').filter(|segment| !segment.is_empty()).collect();
                let depth = if module.package { own.len() } else { own.len().saturating_sub(1) };
                return Some(format!("{}{}", ".".repeat(depth.saturating_add(1)), target.name));
            }
            rooted = import.module.split('.').next() == Some(self.root.as_str());
            break;
        }
        Some(if rooted { format!("{}.{}", self.root, target.name) } else { target.name.clone() })
    }
}

fn find(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), HostError> {
    let fail = |error: std::io::Error| HostError::file("read", directory, &error);
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let (kind, name) = (entry.file_type().map_err(fail)?, entry.file_name());
        let name = name.to_string_lossy();
        // Links are not followed: they may lead round in a circle or out of the project.
        if kind.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&name.as_ref()) {
                find(&entry.path(), files)?;
            }
        } else if kind.is_file() && name.ends_with(".py") {
            if files.len() >= MAX_FILES {
                return Err(HostError::failed(format_args!("there are more than {MAX_FILES} `.py` files"))
                    .help("name the directory of the application alone"));
            }
            files.push(entry.path());
        }
    }
    Ok(())
}
