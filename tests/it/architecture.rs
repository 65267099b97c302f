//! Rules of the architecture that the compiler does not check, read from the parsed sources.
//!
//! `clippy.toml` has the rest: which modules may use a clock, randomness or a runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The modules that each module of the crate may import. The order is from the bottom to the top.
const MAY_IMPORT: [(&str, &[&str]); 18] = [
    ("measure", &[]),
    ("proto", &[]),
    ("wire", &["measure"]),
    ("formats", &["measure"]),
    ("recording", &["measure"]),
    ("ingest", &["recording", "measure"]),
    ("store", &["recording", "measure"]),
    ("contract", &["recording", "proto", "wire", "measure"]),
    ("auth", &["recording"]),
    ("service", &["auth", "contract", "recording", "proto", "wire", "measure"]),
    ("server", &["auth", "service", "contract", "recording", "proto", "wire"]),
    ("metrics", &["server", "recording"]),
    ("http", &["server", "contract", "proto", "ingest", "measure"]),
    ("client", &["contract", "recording", "proto", "wire", "measure"]),
    (
        "load",
        &[
            "server",
            "client",
            "contract",
            "store",
            "recording",
            "formats",
            "proto",
            "wire",
            "measure",
        ],
    ),
    ("telemetry", &["server"]),
    (
        "cli",
        &[
            "auth",
            "load",
            "telemetry",
            "metrics",
            "http",
            "server",
            "client",
            "store",
            "recording",
            "formats",
            "measure",
        ],
    ),
    ("main", &["cli"]),
];

/// External crates that a module must not import.
const MUST_NOT_IMPORT: [(&[&str], &[&str]); 2] = [
    (
        &["measure", "wire", "formats", "ingest", "recording", "contract"],
        &["tokio", "tonic", "h2", "http", "redb", "tracing", "fastrand"],
    ),
    (&["store"], &["tonic", "prost", "h2", "http", "fastrand"]),
];

/// A module of the crate: its path without `crate`, and the paths that its code without tests names.
struct Module {
    file: PathBuf,
    path: Vec<String>,
    imports: BTreeSet<Vec<String>>,
}

/// Collects the paths in a file, `use` trees and expressions alike. Skips what is compiled for tests only.
#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let mut tokens = String::new();
        if let syn::Meta::List(list) = &attribute.meta {
            tokens = list.tokens.to_string();
        }
        attribute.path().is_ident("cfg") && (tokens == "test" || tokens == "doctest")
    })
}

impl Paths {
    fn add_tree(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(next) => {
                path.push(next.ident.to_string());
                self.add_tree(&next.tree, path);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_tree(tree, path.clone()));
            }
            syn::UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.0.insert(path);
            }
            syn::UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.0.insert(path);
            }
            syn::UseTree::Glob(_) => {
                self.0.insert(path);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&item.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns whether a file is a module of tests: `tests.rs` or a file in a folder `tests`, and helpers of such modules.
fn is_test_file(path: &[String]) -> bool {
    path.iter().any(|name| name == "tests" || name == "testing")
}

/// Returns all modules of the crate that are not tests.
fn modules() -> Vec<Module> {
    let root = source_folder();
    let mut modules = Vec::new();
    for file in rust_files(&root) {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let mut path: Vec<String> =
            relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if path.last().is_some_and(|name| name == "mod" || name == "lib") {
            path.pop();
        }
        if is_test_file(&path) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut paths = Paths::default();
        paths.visit_file(&parsed);
        let imports = paths.0.iter().map(|import| absolute(&path, import)).collect();
        modules.push(Module { file, path, imports });
    }
    assert!(modules.len() > 50, "{} modules", modules.len());
    modules
}

/// Resolves `self` and `super` at the beginning of a path that a module names.
fn absolute(module: &[String], import: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = import;
    let Some(first) = rest.first() else { return Vec::new() };
    if first != "self" && first != "super" {
        return import.to_vec();
    }
    while let Some(first) = rest.first() {
        match first.as_str() {
            "self" => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        rest = &rest[1..];
    }
    let start = std::iter::once("crate".to_owned()).chain(base);
    start.chain(rest.iter().cloned()).collect()
}

/// Returns the top-level module.
fn top(module: &Module) -> Option<&str> {
    module.path.first().map(String::as_str)
}

#[test]
fn modules_import_only_the_modules_below_them() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.into_iter().collect();
    let mut violations = Vec::new();
    for module in modules() {
        // The root of the crate re-exports from all modules.
        let Some(top) = top(&module) else { continue };
        let may_import =
            allowed.get(top).unwrap_or_else(|| panic!("{top} is not in the table MAY_IMPORT"));
        for import in &module.imports {
            let [first, target, ..] = &import[..] else { continue };
            let is_module = allowed.contains_key(target.as_str());
            if first == "crate"
                && is_module
                && target != top
                && !may_import.contains(&target.as_str())
            {
                violations.push(format!("{} imports {}", module.file.display(), import.join("::")));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn the_table_of_imports_has_no_cycle() {
    let mut below = BTreeSet::new();
    for (module, may_import) in MAY_IMPORT {
        for import in may_import {
            assert!(below.contains(import), "{module} may import {import}, which is not below it");
        }
        below.insert(module);
    }
}

#[test]
fn modules_without_io_import_no_runtime_and_no_protocol() {
    let mut violations = Vec::new();
    for module in modules() {
        for (names, external) in MUST_NOT_IMPORT {
            if !top(&module).is_some_and(|top| names.contains(&top)) {
                continue;
            }
            for import in module.imports.iter().filter(|import| import.len() > 1) {
                if external.contains(&import[0].as_str()) {
                    let file = module.file.display();
                    violations.push(format!("{file} imports {}", import.join("::")));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Returns the files of the crate that the imports of `module` name.
fn targets<'a>(module: &Module, by_path: &'a BTreeMap<String, usize>) -> BTreeSet<&'a usize> {
    let own = module.path.join("::");
    let mut targets = BTreeSet::new();
    for import in
        module.imports.iter().filter(|import| import.first().is_some_and(|first| first == "crate"))
    {
        // The longest prefix that is a file is the module of the item.
        let prefix = (1..import.len())
            .rev()
            .find_map(|end| by_path.get_key_value(&import[1..=end].join("::")));
        if let Some((path, index)) = prefix
            && *path != own
        {
            targets.insert(index);
        }
    }
    targets
}

/// A module imports from its children, and children import types that their parent defines or re-exports. Apart from
/// these pairs of parent and child, no two files import each other, directly or through others.
#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let modules = modules();
    let by_path: BTreeMap<String, usize> =
        modules.iter().enumerate().map(|(index, module)| (module.path.join("::"), index)).collect();
    let is_family = |from: &Module, to: &Module| {
        from.path.starts_with(&to.path) || to.path.starts_with(&from.path)
    };
    let edges: Vec<Vec<usize>> = modules
        .iter()
        .map(|from| {
            let to = targets(from, &by_path).into_iter().copied();
            to.filter(|&to| !is_family(from, &modules[to])).collect()
        })
        .collect();
    let reaches_itself = |start: usize| {
        let (mut seen, mut next) = (BTreeSet::new(), edges[start].clone());
        while let Some(index) = next.pop() {
            if seen.insert(index) {
                next.extend(&edges[index]);
            }
        }
        seen.contains(&start)
    };
    let in_circle: BTreeSet<usize> =
        (0..modules.len()).filter(|&index| reaches_itself(index)).collect();
    let left: Vec<String> = in_circle
        .iter()
        .map(|&index| {
            let to = edges[index].iter().filter(|to| in_circle.contains(to));
            let to: Vec<_> = to.map(|&to| modules[to].path.join("::")).collect();
            format!("{} -> {}", modules[index].path.join("::"), to.join(", "))
        })
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn every_file_has_a_header_comment() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/src");
    for file in rust_files(&source_folder()).into_iter().chain(rust_files(&python)) {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().find(|line| !line.starts_with("#!["));
        assert!(
            first.is_some_and(|line| line.starts_with("//! ")),
            "{} has no header comment",
            file.display()
        );
    }
}

/// The limit is a sign that a file holds more than one idea.
#[test]
fn no_file_is_longer_than_450_lines_and_half_of_them_are_shorter_than_200() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "tests", "benches", "fuzz/fuzz_targets", "python/src"];
    let mut lengths: Vec<(usize, PathBuf)> = folders
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .filter(|file| !file.components().any(|part| part.as_os_str() == "target"))
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .collect();
    lengths.sort();
    let (longest, file) = lengths.last().unwrap();
    assert!(*longest <= 450, "{} has {longest} lines", file.display());
    let (median, _) = lengths[lengths.len() / 2];
    assert!(median < 200, "half of the files have {median} lines or more");
}
