//! The syntax of every Rust file, reduced to the facts the rules need.
//!
//! Test code is what stands under `#[cfg(test)]`, in a file such a module names, or in a `tests/` folder. It counts
//! for no limit. Functions that a macro makes are not seen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::read_text;

/// The only crate that may say `unsafe`.
const UNSAFE_ROOM: &str = "crates/kernel";
/// Where generated code lies.
const GENERATED: &str = "crates/wire/src/gen";

/// The facts of one file.
#[derive(Debug, Default)]
pub struct Source {
    /// Relative to the workspace root.
    pub path: PathBuf,
    /// Lines of production code, comments included.
    pub lines: usize,
    /// Lines of test code.
    pub test_lines: usize,
    /// Whether the whole file is test code.
    pub test: bool,
    /// Whether a program wrote it.
    pub generated: bool,
    /// Its first line.
    pub first_line: String,
    /// Its functions.
    pub functions: Vec<Function>,
    /// Names of its types and traits, with their lines.
    pub types: Vec<(String, usize)>,
    /// Lines where `unsafe` stands.
    pub unsafes: Vec<usize>,
    /// Calls of `unwrap`.
    pub unwraps: usize,
    /// Calls of `expect`.
    pub expects: usize,
    test_modules: Vec<PathBuf>,
}

/// One function.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// How long it is.
    pub lines: usize,
    /// Whether a comment above says why it is long.
    pub excused: bool,
}

impl Source {
    /// Whether limits apply.
    pub fn is_production(&self) -> bool {
        !self.test && !self.generated
    }
}

/// Reads every Rust file among `files`.
pub fn read_all(files: &[PathBuf]) -> Result<Vec<Source>> {
    let rust = files.iter().filter(|f| f.extension().is_some_and(|e| e == "rs"));
    let mut sources: Vec<Source> = rust.map(|f| read(f)).collect::<Result<_>>()?;
    let named: BTreeSet<PathBuf> = sources.iter().flat_map(|s| s.test_modules.iter().cloned()).collect();
    for source in &mut sources {
        let in_tests =
            source.path.iter().any(|part| part == "tests" || part == "benches" || part == "examples");
        if in_tests || named.contains(&source.path) {
            source.test = true;
            source.test_lines += std::mem::take(&mut source.lines);
        }
    }
    Ok(sources)
}

/// Findings: `unsafe` outside its room. (That each has a SAFETY comment is clippy's to see.)
pub fn check_unsafe(sources: &[Source]) -> Vec<String> {
    let outside = sources.iter().filter(|s| !s.path.starts_with(UNSAFE_ROOM));
    let lines = outside.flat_map(|s| s.unsafes.iter().map(move |line| (s, line)));
    lines.map(|(s, line)| format!("{}:{line}: unsafe outside {UNSAFE_ROOM}", s.path.display())).collect()
}

/// Findings: a file whose first line is not `//!` and a sentence.
pub fn check_first_lines(sources: &[Source]) -> Vec<String> {
    let good = |s: &Source| s.first_line.starts_with("//! ") && s.first_line.len() > 8;
    let found = sources.iter().filter(|s| !s.generated && !good(s));
    found.map(|s| format!("{}:1: does not begin with a line of module doc", s.path.display())).collect()
}

fn read(file: &Path) -> Result<Source> {
    reduce(file, &read_text(file)?)
}

fn reduce(file: &Path, text: &str) -> Result<Source> {
    let mut source = Source {
        path: file.to_path_buf(),
        lines: text.lines().count(),
        generated: file.starts_with(GENERATED),
        first_line: text.lines().next().unwrap_or_default().to_owned(),
        ..Source::default()
    };
    if source.generated {
        return Ok(source);
    }
    let syntax = syn::parse_file(text).with_context(|| format!("parse {}", file.display()))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut walk = Walk { source: &mut source, text: &lines };
    walk.visit_file(&syntax);
    source.lines -= source.test_lines;
    Ok(source)
}

/// One walk over a file's syntax.
struct Walk<'a> {
    source: &'a mut Source,
    text: &'a [&'a str],
}

impl Walk<'_> {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.span().start().line;
        let end = block.brace_token.span.close().end().line;
        let excused = self.text[..line - 1]
            .iter()
            .rev()
            .map(|l| l.trim_start())
            .take_while(|l| l.starts_with("//") || l.starts_with('#'))
            .any(|l| l.strip_prefix("// long: ").is_some_and(|reason| !reason.trim().is_empty()));
        let name = signature.ident.to_string();
        self.source.functions.push(Function { name, line, lines: end + 1 - line, excused });
        if let Some(word) = signature.unsafety {
            self.note_unsafe(word.span());
        }
    }

    fn note_unsafe(&mut self, span: Span) {
        self.source.unsafes.push(span.start().line);
    }

    fn note_type(&mut self, name: &syn::Ident) {
        self.source.types.push((name.to_string(), name.span().start().line));
    }

    /// Skips what only tests see; true when it was skipped.
    fn skip(&mut self, item: &syn::Item) -> bool {
        let attributes = attributes_of(item);
        if !attributes.iter().any(is_cfg_test) {
            return false;
        }
        let span = item.span();
        self.source.test_lines += span.end().line + 1 - span.start().line;
        if let syn::Item::Mod(module) = item
            && module.content.is_none()
        {
            self.source.test_modules.extend(places_of(&self.source.path, &module.ident.to_string()));
        }
        true
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if self.skip(item) {
            return;
        }
        match item {
            syn::Item::Struct(i) => self.note_type(&i.ident),
            syn::Item::Enum(i) => self.note_type(&i.ident),
            syn::Item::Union(i) => self.note_type(&i.ident),
            syn::Item::Trait(i) => self.note_type(&i.ident),
            syn::Item::Type(i) => self.note_type(&i.ident),
            syn::Item::Fn(i) => self.function(&i.sig, &i.block),
            syn::Item::Impl(i) => {
                if let Some(word) = i.unsafety {
                    self.note_unsafe(word.span());
                }
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, expression: &'ast syn::ExprUnsafe) {
        self.note_unsafe(expression.unsafe_token.span());
        visit::visit_expr_unsafe(self, expression);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        match call.method.to_string().as_str() {
            "unwrap" => self.source.unwraps += 1,
            "expect" => self.source.expects += 1,
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Enum(i) => &i.attrs,
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        _ => &[],
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
}

/// Where `mod name;` in `file` may lie.
fn places_of(file: &Path, name: &str) -> Vec<PathBuf> {
    let dir = file.parent().unwrap_or(Path::new(""));
    let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let dir = if ["lib", "main", "mod"].contains(&stem) { dir.to_path_buf() } else { dir.join(stem) };
    vec![dir.join(format!("{name}.rs")), dir.join(name).join("mod.rs")]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"//! A file.
mod inner {
    struct Deep;
    // long: a table
    /// With words between.
    fn excused() {
        let value = find().unwrap();
    }
}
impl Thing {
    fn method(&self) {
        unsafe { call() }
    }
}
unsafe impl Send for Thing {}
#[cfg(test)]
mod tests {
    fn helper() { x.unwrap(); }
}
#[cfg(test)]
mod more;
"#;

    #[test]
    fn facts_of_a_file() {
        let source = reduce(Path::new("crates/x/src/thing.rs"), TEXT).expect("parses");
        let functions: Vec<(&str, usize, bool)> =
            source.functions.iter().map(|f| (f.name.as_str(), f.lines, f.excused)).collect();
        assert_eq!(functions, [("excused", 3, true), ("method", 3, false)]);
        assert_eq!(source.types, [("Deep".to_owned(), 3)]);
        assert_eq!(source.unsafes, [12, 15]);
        assert_eq!((source.unwraps, source.expects), (1, 0));
        assert_eq!((source.lines, source.test_lines), (15, 6));
        assert!(source.test_modules.contains(&PathBuf::from("crates/x/src/thing/more.rs")));
    }

    #[test]
    fn unsafe_has_one_room() {
        let inside = reduce(Path::new("crates/kernel/src/x.rs"), TEXT).expect("parses");
        let outside = reduce(Path::new("crates/oci/src/x.rs"), TEXT).expect("parses");
        assert_eq!(check_unsafe(&[inside]).len(), 0);
        assert_eq!(check_unsafe(&[outside]).len(), 2);
    }
}
