//! Tests of the inputs that are found in folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

/// Returns the inputs of the folder as text, with names in the folder.
fn listed(folder: &Path) -> Vec<String> {
    let prefix = format!("{}/", folder.display());
    let inputs = expand(&[folder.to_owned()]);
    inputs
        .iter()
        .map(|input| {
            let name = input.name.replace(&prefix, "");
            match &input.content {
                Content::File => name,
                Content::Skipped(reason) => format!("{name}: skipped: {reason}"),
                Content::Problem(reason) => format!("{name}: problem: {reason}"),
            }
        })
        .collect()
}

fn write(folder: &Path, names: &[&str]) {
    for name in names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
}

#[test]
fn files_are_sorted_by_folder_and_name_and_hidden_ones_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &["b", "a/z", "a.x", "a/a/a", "c/.git/y", ".x", "c/\u{e4}"]);
    assert_eq!(listed(folder.path()), ["a/a/a", "a/z", "a.x", "b", "c/\u{e4}"]);
    let hidden = folder.path().join("c/.git");
    assert_eq!(listed(&hidden), ["y"]);
}

#[test]
fn links_are_followed_and_nothing_is_listed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    write(&inside, &["a/f", "b/g"]);
    write(&outside, &["h", "k"]);
    symlink(&inside, inside.join("a/circle")).unwrap();
    symlink(inside.join("b"), inside.join("a/folder")).unwrap();
    symlink("f", inside.join("a/file")).unwrap();
    symlink("nowhere", inside.join("a/broken")).unwrap();
    symlink("self", inside.join("a/self")).unwrap();
    symlink(&outside, inside.join("new")).unwrap();
    symlink(outside.join("h"), inside.join("newer")).unwrap();
    let found = listed(&inside);
    assert!(found[0].starts_with("a/broken: skipped: the link leads nowhere: "), "{found:?}");
    assert!(found[5].starts_with("a/self: skipped: the link leads nowhere: "), "{found:?}");
    let read = "skipped: the link leads to a";
    let circle = format!("a/circle: {read} folder that is read already");
    let file = format!("a/file: {read} file that is read already");
    let other = format!("a/folder: {read} folder that is read already");
    let newer = format!("newer: {read} file that is read already");
    assert_eq!(found[1..5], [circle, "a/f".to_owned(), file, other]);
    assert_eq!(found[6..], ["b/g", "new/h", "new/k", &newer]);
}

#[test]
fn a_link_to_a_folder_above_does_not_list_files_twice() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in");
    write(folder.path(), &["in/f", "g"]);
    symlink(folder.path(), inside.join("up")).unwrap();
    assert_eq!(listed(&inside), ["f", "up/g"]);
}

#[test]
fn two_links_to_one_file_list_it_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &["f"]);
    let inside = folder.path().join("in");
    fs::create_dir(&inside).unwrap();
    symlink("../f", inside.join("a")).unwrap();
    symlink("../f", inside.join("b")).unwrap();
    let found = listed(&inside);
    assert_eq!(found.len(), 2);
    let skipped = found.iter().filter(|name| name.contains(": skipped: ")).count();
    assert_eq!(skipped, 1, "{found:?}");
}

#[test]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let pipe = folder.path().join("p");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    symlink("/dev/null", folder.path().join("d")).unwrap();
    let found = listed(folder.path());
    assert_eq!(
        found,
        [
            "d: skipped: it is a device, not a regular file",
            "p: skipped: it is a named pipe, not a regular file",
            "s: skipped: it is a socket, not a regular file",
        ]
    );
    assert!(matches!(&*expand(&[pipe]), [Input { content: Content::File, .. }]));
}

#[test]
fn a_folder_without_files_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().display().to_string();
    assert_eq!(listed(folder.path()), [format!("{name}: problem: the folder has no files")]);
}
