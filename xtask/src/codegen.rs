//! `cargo xtask codegen`: turns `proto/` into `crates/wire/src/gen/`, or checks that it already did.
//!
//! Three kinds of output: one file of messages (and gRPC services, behind the feature `grpc`) per protobuf package,
//! `mod.rs` that nests them as the packages nest, and `shapes.rs` with the field tables of event messages.
//! Services that travel over ttrpc only become a list of method names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use prost_build::{Config, Module, Service, ServiceGenerator};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Packages whose services are carried over ttrpc and never over gRPC.
const TTRPC_ONLY: &[&str] = &[
    "containerd.task.v2",
    "containerd.task.v3",
    "containerd.runtime.sandbox.v1",
    "containerd.services.events.ttrpc.v1",
];

/// What every generated service module is gated by.
const GRPC_ONLY: &str = "#[cfg(feature = \"grpc\")]";

/// File name to content, everything that belongs into the output directory.
type Output = BTreeMap<String, String>;

/// Generates the code; with `check`, compares it with what is committed instead of writing.
pub fn run(check: bool) -> Result<()> {
    let root = repository()?;
    let fresh = generate(&root.join("proto"))?;
    let target = root.join("crates/wire/src/gen");
    if check { compare(&target, &fresh) } else { write(&target, &fresh) }
}

/// The nearest directory above the current one that has `proto/` and `crates/wire/`.
fn repository() -> Result<PathBuf> {
    let here = std::env::current_dir().context("find the current directory")?;
    here.ancestors()
        .find(|dir| dir.join("proto").is_dir() && dir.join("crates/wire").is_dir())
        .map(Path::to_path_buf)
        .with_context(|| format!("no repository above {}", here.display()))
}

fn generate(protos: &Path) -> Result<Output> {
    let set = compile(protos)?;
    let mut output = Output::new();
    output.insert("shapes.rs".to_owned(), shapes(&set));
    let requests =
        set.file.into_iter().map(|file| (Module::from_protobuf_package_name(file.package()), file)).collect();
    let modules: BTreeMap<Module, String> = config()
        .generate(requests)
        .context("generate Rust from the descriptors")?
        .into_iter()
        .filter(|(_, code)| !code.trim().is_empty())
        .collect();
    output.insert("mod.rs".to_owned(), nest(modules.keys()));
    for (module, code) in modules {
        output.insert(module.to_file_name_or("_"), code);
    }
    Ok(output)
}

/// Parses every `.proto` file under `protos`; imports are relative to that directory.
fn compile(protos: &Path) -> Result<FileDescriptorSet> {
    let mut files = Vec::new();
    collect(protos, &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new([protos]).context("open proto/")?;
    compiler.include_imports(true).include_source_info(false);
    compiler.open_files(&files).context("compile proto/")?;
    Ok(compiler.file_descriptor_set())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", dir.display()))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .btree_map(["."])
        .bytes(["."])
        .enable_type_names()
        .extern_path(".google.protobuf.Any", "crate::Any")
        .service_generator(Box::new(Faces::new()));
    config
}

/// Decides per service which code it gets.
struct Faces {
    grpc: Box<dyn ServiceGenerator>,
}

impl Faces {
    fn new() -> Faces {
        let grpc = tonic_prost_build::configure()
            .build_transport(false)
            .client_mod_attribute(".", GRPC_ONLY)
            .server_mod_attribute(".", GRPC_ONLY)
            .service_generator();
        Faces { grpc }
    }
}

impl ServiceGenerator for Faces {
    fn generate(&mut self, service: Service, buf: &mut String) {
        if TTRPC_ONLY.contains(&service.package.as_str()) {
            method_names(&service, buf);
        } else {
            self.grpc.generate(service, buf);
        }
    }

    fn finalize(&mut self, buf: &mut String) {
        self.grpc.finalize(buf);
    }

    fn finalize_package(&mut self, package: &str, buf: &mut String) {
        if !TTRPC_ONLY.contains(&package) {
            self.grpc.finalize_package(package, buf);
        }
    }
}

/// A module with the service's full name and one constant per method.
fn method_names(service: &Service, buf: &mut String) {
    let module = snake(&service.name);
    let mut body = format!(
        "/// The service and its methods as a request names them.\npub mod {module}_methods {{\n    \
         pub const SERVICE: &str = \"{}.{}\";\n",
        service.package, service.proto_name
    );
    for method in &service.methods {
        let name = snake(&method.proto_name).to_uppercase();
        body += &format!("    pub const {name}: &str = \"{}\";\n", method.proto_name);
    }
    body += "}\n";
    buf.push_str(&body);
}

/// `CloseIO` to `close_io`: an underscore before each capital that follows a small letter.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && after_small {
            out.push('_');
        }
        after_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[derive(Default)]
struct Nest {
    children: BTreeMap<String, Nest>,
    file: Option<String>,
}

/// `mod.rs`: modules nested as the packages are, each including its file.
fn nest<'a>(modules: impl Iterator<Item = &'a Module>) -> String {
    let mut root = Nest::default();
    for module in modules {
        let mut at = &mut root;
        for part in module.parts() {
            at = at.children.entry(part.to_owned()).or_default();
        }
        at.file = Some(module.to_file_name_or("_"));
    }
    let mut out = String::from(
        "//! Messages and services, nested as their protobuf packages are.\n//!\n\
         //! Generated from `proto/` by `cargo xtask codegen`; edit those files, not these.\n\n",
    );
    write_nest(&root, 0, &mut out);
    out + "\npub(crate) mod shapes {\n    include!(\"shapes.rs\");\n}\n"
}

fn write_nest(nest: &Nest, depth: usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    if let Some(file) = &nest.file {
        let _ = writeln!(out, "{indent}include!(\"{file}\");");
    }
    for (name, child) in &nest.children {
        let _ = writeln!(out, "{indent}pub mod {name} {{");
        write_nest(child, depth + 1, out);
        let _ = writeln!(out, "{indent}}}");
    }
}

/// Field tables of every message under `events/` and of what those messages contain.
fn shapes(set: &FileDescriptorSet) -> String {
    let mut all = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    for file in &set.file {
        let before: BTreeSet<String> = all.keys().cloned().collect();
        for message in &file.message_type {
            index(&format!(".{}", file.package()), message, &mut all);
        }
        if file.name().starts_with("events/") {
            wanted.extend(all.keys().filter(|name| !before.contains(*name)).cloned());
        }
    }
    let roots = wanted.clone();
    let mut queue: Vec<String> = wanted.iter().cloned().collect();
    while let Some(name) = queue.pop() {
        for field in &all[&name].field {
            let inner = field.type_name().to_owned();
            if field.r#type() == Type::Message && wanted.insert(inner.clone()) {
                queue.push(inner);
            }
        }
    }
    let mut out = String::from(
        "// Field tables of the messages that events carry, for filters and for printing.\n\
         // Generated from `proto/` by `cargo xtask codegen`; edit those files, not these.\n\n\
         use crate::shape::{Field, Kind, Message};\n",
    );
    for name in wanted.iter().filter(|name| !is_entry(&all, name)) {
        write_shape(name, &all, &mut out);
    }
    let roots: Vec<&String> =
        roots.iter().filter(|name| !is_entry(&all, name) && !is_nested(&all, name)).collect();
    let _ = writeln!(out, "\n/// Every event message, sorted by full name.");
    let _ = writeln!(out, "pub(crate) static EVENTS: [&Message; {}] = [", roots.len());
    for name in roots {
        let _ = writeln!(out, "    &{},", constant(name));
    }
    out + "];\n"
}

type Messages<'a> = BTreeMap<String, &'a DescriptorProto>;

fn index<'a>(prefix: &str, message: &'a DescriptorProto, all: &mut Messages<'a>) {
    let name = format!("{prefix}.{}", message.name());
    for inner in &message.nested_type {
        index(&name, inner, all);
    }
    all.insert(name, message);
}

fn is_entry(all: &Messages, name: &str) -> bool {
    all[name].options.as_ref().is_some_and(|options| options.map_entry())
}

fn is_nested(all: &Messages, name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(outer, _)| all.contains_key(outer))
}

fn constant(name: &str) -> String {
    name.trim_start_matches('.')
        .split('.')
        .map(|part| snake(part).to_uppercase())
        .collect::<Vec<_>>()
        .join("_")
}

fn write_shape(name: &str, all: &Messages, out: &mut String) {
    let _ = writeln!(
        out,
        "\nstatic {}: Message = Message {{\n    name: \"{}\",\n    fields: &[",
        constant(name),
        &name[1..]
    );
    for field in &all[name].field {
        let repeated = field.label() == Label::Repeated && !is_map(all, field);
        let _ = writeln!(
            out,
            "        Field {{ number: {}, name: \"{}\", kind: {}, repeated: {repeated} }},",
            field.number(),
            field.name(),
            kind(all, field)
        );
    }
    out.push_str("    ],\n};\n");
}

fn is_map(all: &Messages, field: &FieldDescriptorProto) -> bool {
    field.r#type() == Type::Message && is_entry(all, field.type_name())
}

/// The expression for a field's kind; maps are from text to text in every event.
fn kind(all: &Messages, field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::String => "Kind::Text".to_owned(),
        Type::Bytes => "Kind::Bytes".to_owned(),
        Type::Bool => "Kind::Flag".to_owned(),
        Type::Uint32 | Type::Uint64 => "Kind::Unsigned".to_owned(),
        Type::Int32 | Type::Int64 | Type::Enum => "Kind::Signed".to_owned(),
        Type::Message if is_map(all, field) => "Kind::Map".to_owned(),
        Type::Message => format!("Kind::Message(&{})", constant(field.type_name())),
        other => unreachable!("no event has a field of type {other:?}"),
    }
}

fn write(target: &Path, fresh: &Output) -> Result<()> {
    std::fs::create_dir_all(target).with_context(|| format!("create {}", target.display()))?;
    for name in stale(target, fresh)? {
        let path = target.join(name);
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    for (name, code) in fresh {
        let path = target.join(name);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(code) {
            std::fs::write(&path, code).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(())
}

fn compare(target: &Path, fresh: &Output) -> Result<()> {
    let mut wrong = stale(target, fresh)?;
    for (name, code) in fresh {
        if std::fs::read_to_string(target.join(name)).ok().as_ref() != Some(code) {
            wrong.push(name.clone());
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} differs from proto/: {}; run `cargo xtask codegen`", target.display(), wrong.join(", "))
}

/// Files in the output directory that nothing generates any more.
fn stale(target: &Path, fresh: &Output) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(target).with_context(|| format!("list {}", target.display()))? {
        let name = entry.with_context(|| format!("list {}", target.display()))?.file_name();
        let name = name.to_string_lossy().into_owned();
        if !fresh.contains_key(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
