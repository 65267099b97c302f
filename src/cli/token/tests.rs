//! Tests of entries and of the files that receive them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::thread;

use super::*;
use crate::auth::{TOKEN_FILE_BYTES_MAX, check_tokens};

fn entry(name: &str) -> String {
    let token = Token::generate().unwrap().hash();
    Entry { name, namespace: None, role: Role::Writer, token }.to_string()
}

fn append(path: &Path, entry: &str) -> Result<(), String> {
    Addition::prepare(path, entry)?.commit()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_entry_is_valid_whatever_the_name() {
    let namespace = "acme".parse().unwrap();
    let token = TokenHash::of("x");
    let entry = Entry { name: "van 7", namespace: Some(&namespace), role: Role::Admin, token };
    insta::assert_snapshot!(entry.to_string(), @r#"
    [[principal]]
    name = "van 7"
    namespace = "acme"
    role = "admin"
    token_sha256 = ["2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"]
    "#);
    for name in ["a\"b", "a'b", "\"\"\"", "\\", "é", "[[principal]]", "# x", "' \" \\n"] {
        let entry = Entry { name, namespace: None, role: Role::Writer, token }.to_string();
        assert_eq!(check_tokens(&entry), Ok(1), "{entry}");
        let table: toml::Table = entry.parse().unwrap();
        assert_eq!(table["principal"][0]["name"].as_str(), Some(name));
    }
}

#[test]
fn an_entry_is_added_and_the_rights_of_the_file_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    append(&path, &entry("a")).unwrap();
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    append(&link, &entry("b")).unwrap();
    assert_eq!(mode(&path), 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.trim_end()).unwrap();
    append(&path, &entry("c")).unwrap();
    assert_eq!(check_tokens(&fs::read_to_string(&path).unwrap()), Ok(3));
    let names = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 2, "no temporary file is left");
}

#[test]
fn an_entry_that_the_file_cannot_have_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    append(&path, &entry("a")).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let error = append(&path, &entry("a")).unwrap_err();
    assert!(error.contains("line 7: the name is already used in line 2"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    fs::write(&path, "[[principal").unwrap();
    let error = append(&path, &entry("b")).unwrap_err();
    assert!(error.contains("line 1: is not valid TOML"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "[[principal");
    let error = append(&folder.path().join("absent/tokens"), &entry("b")).unwrap_err();
    assert!(error.contains("cannot be created"), "{error}");
    // Neither a refused entry nor one that is not committed creates a file.
    let new = folder.path().join("new");
    let large = format!("# {}\n", "x".repeat(TOKEN_FILE_BYTES_MAX as usize));
    assert!(append(&new, &large).unwrap_err().contains("would be larger"));
    assert!(append(&new, "[[principal").unwrap_err().contains("is not valid TOML"));
    drop(Addition::prepare(&new, &entry("b")).unwrap());
    assert!(append(Path::new("/dev/null"), &entry("b")).unwrap_err().contains("regular file"));
    let dangling = folder.path().join("dangling");
    symlink(&new, &dangling).unwrap();
    assert!(append(&dangling, &entry("b")).unwrap_err().contains("cannot be found"));
    fs::remove_file(&dangling).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn entries_that_are_added_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    thread::scope(|scope| {
        for index in 0..16 {
            let path = &path;
            scope.spawn(move || append(path, &entry(&index.to_string())).unwrap());
        }
    });
    assert_eq!(check_tokens(&fs::read_to_string(&path).unwrap()), Ok(16));
}

#[test]
fn a_token_is_written_to_a_new_file_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let token = Token::generate().unwrap();
    output::write(&path, &token).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", token.as_str()));
    assert_eq!(mode(&path), 0o600);
    let error = output::write(&path, &token).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_token_is_read_from_one_line() {
    let token = Token::generate().unwrap();
    let (text, hash) = (token.as_str(), token.hash());
    for input in [text.to_owned(), format!("{text}\n"), format!("{text}\r\n")] {
        assert_eq!(read_token(input.as_bytes(), false), Ok(hash));
    }
    for input in
        ["", "\n", "short", &format!("{text}\n\n"), &format!("{text}\n{text}"), &format!(" {text}")]
    {
        let error = read_token(input.as_bytes(), false).unwrap_err();
        assert!(!error.contains(text), "{error}");
    }
    assert!(read_token(&b"\xff\xfe"[..], false).is_err());
}
