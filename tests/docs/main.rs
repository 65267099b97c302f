//! Checks the documents: examples of commands print what is shown, every code block is run by some test, links
//! and paths lead to files, and every flag is documented.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

#[path = "../common/binary.rs"]
mod binary;
mod console;
mod help;
mod markdown;
mod settings;

use console::Session;
use markdown::{Block, Document};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the README and all documents in `docs/`.
fn documents() -> Vec<Document> {
    let entries = std::fs::read_dir(repository().join("docs")).unwrap();
    let mut paths = vec!["README.md".to_owned()];
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    paths.iter().map(|path| Document::read(repository(), path)).collect()
}

#[test]
fn every_command_prints_what_the_documents_show() {
    let mut examples = 0;
    let mut failures = Vec::new();
    for document in documents() {
        let mut session = Session::new(&binary::path(), &repository().join("examples"));
        for block in document.blocks().iter().filter(|block| block.language == "console") {
            for example in console::examples(block) {
                examples += 1;
                if let Err(failure) = session.run(&example) {
                    failures.push(format!("{}:{}: {failure}", document.path, block.line));
                }
            }
        }
    }
    assert!(examples > 10, "only {examples} examples were found");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_settings_file_and_token_file_is_valid() {
    let mut failures = Vec::new();
    let mut checked = 0;
    for document in documents() {
        for block in document.blocks().iter().filter(|block| block.language == "toml") {
            let Some(option) = settings::option(block) else { continue };
            checked += 1;
            if let Err(failure) = settings::check(block, option) {
                failures.push(format!("{}:{}: {failure}", document.path, block.line));
            }
        }
    }
    assert!(checked > 1, "only {checked} blocks were found");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The interop tests run the blocks with an `interop:` marker, and the test of a cluster those with a `cluster:` marker.
/// `src/lib.rs` includes documents with Rust code as
/// documentation tests.
#[test]
fn every_code_block_is_run_by_a_test_or_marked_as_not_run() {
    let library = std::fs::read_to_string(repository().join("src/lib.rs")).unwrap();
    let interop = repository().join("tests/interop/python/test_documents.py");
    let interop = std::fs::read_to_string(interop).unwrap();
    let cluster = ["stores.py", "recovery.py"].map(|name| {
        std::fs::read_to_string(repository().join("tests/cluster").join(name)).unwrap()
    });
    let cluster = cluster.concat();
    for document in documents() {
        let mut previous: Option<Block> = None;
        for block in document.blocks() {
            let is_run = match block.language.as_str() {
                "text" | "console" => true,
                "toml" => settings::option(&block).is_some(),
                "rust" => library.contains(&format!("include_str!(\"../{}\")", document.path)),
                "sh" | "python" | "sql" => block.marker.as_deref().is_some_and(|marker| {
                    let quoted = format!("\"{marker}\"");
                    let in_cluster = document.path == "docs/postgres.md";
                    (marker.starts_with("not run: ") && block.language != "sql")
                        || interop.contains(&quoted)
                        || in_cluster && cluster.contains(&quoted)
                }),
                // The output of the command in the block before it.
                "json" => previous.as_ref().is_some_and(|block| {
                    block.language == "sh"
                        && block
                            .marker
                            .as_deref()
                            .is_some_and(|marker| marker.starts_with("interop: "))
                }),
                _ => false,
            };
            let (path, line, language) = (&document.path, block.line, &block.language);
            assert!(is_run, "{path}:{line}: no test runs this {language:?} block");
            previous = Some(block);
        }
    }
}

#[test]
fn links_and_paths_lead_to_files() {
    let mut broken = Vec::new();
    let others = [
        "ARCHITECTURE.md",
        "BENCHMARKS.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "deploy/README.md",
        "examples/README.md",
        "examples/python/README.md",
    ];
    let others = others.iter().map(|path| Document::read(repository(), path));
    for document in documents().into_iter().chain(others) {
        let folder = repository().join(&document.path);
        let folder = folder.parent().unwrap();
        for link in document.links() {
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let file =
                if path.is_empty() { repository().join(&document.path) } else { folder.join(path) };
            let has_heading = || {
                let text = std::fs::read_to_string(&file).unwrap();
                markdown::anchors(&text).iter().any(|anchor| anchor == heading)
            };
            if !file.exists() || !(heading.is_empty() || has_heading()) {
                broken.push(format!("{}: link to {link}", document.path));
            }
        }
        for path in document.source_paths() {
            if !repository().join(&path).exists() && !repository().join("src").join(&path).exists()
            {
                broken.push(format!("{}: path {path}", document.path));
            }
        }
    }
    assert!(broken.is_empty(), "not found:\n{}", broken.join("\n"));
}

#[test]
fn the_module_map_names_every_module() {
    let architecture = Document::read(repository(), "ARCHITECTURE.md");
    let map = architecture.text.split("\n## Code map\n").nth(1).unwrap();
    let map = map.split("\n## ").next().unwrap();
    let entries = std::fs::read_dir(repository().join("src")).unwrap();
    for entry in entries {
        let entry = entry.unwrap();
        let suffix = if entry.file_type().unwrap().is_dir() { "/" } else { "" };
        let name = format!("`{}{suffix}`", entry.file_name().into_string().unwrap());
        assert!(name == "`lib.rs`" || map.contains(&name), "ARCHITECTURE.md does not name {name}");
    }
}

/// Flags of other programs in the documents.
const FOREIGN_FLAGS: [&str; 16] = [
    "--pgdata",
    "--pwprompt",
    "--username",
    "--checkpoint",
    "--host",
    "--owner",
    "--now",
    "--path",
    "--release",
    "--open",
    "--python",
    "--grpc",
    "--bench",
    "--lib",
    "--ignored",
    "--nocapture",
];

#[test]
fn every_flag_is_documented_and_every_documented_flag_exists() {
    let flags = help::flags(&[]);
    let documents = documents();
    let documented: BTreeSet<_> =
        documents.iter().flat_map(|document| markdown::flags(&document.text)).collect();
    let mut problems = Vec::new();
    let is_general = |flag: &String| ["--help", "--version"].contains(&flag.as_str());
    for flag in flags.difference(&documented).filter(|flag| !is_general(flag)) {
        problems.push(format!("{flag} is not documented in README.md or docs/"));
    }
    for flag in documented.difference(&flags) {
        if !FOREIGN_FLAGS.contains(&flag.as_str()) {
            problems.push(format!("{flag} is documented, but no command defines it"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
