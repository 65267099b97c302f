//! Tests of token files: what is valid, the errors, and reloads.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::auth::principal::{Quota, Role};
use crate::auth::token::Token;

/// A token file in a folder of its own.
struct Fixture {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        fs::OpenOptions::new().create_new(true).write(true).mode(0o640).open(&path).unwrap();
        let fixture = Self { _folder: folder, path };
        fixture.write(text);
        fixture
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }

    fn load(&self) -> TokenFile {
        TokenFile::load(&self.path).unwrap()
    }
}

fn entry(name: &str, tokens: &[&Token]) -> String {
    let hashes: Vec<_> = tokens.iter().map(|token| token.hash().to_string()).collect();
    format!("[[principal]]\nname = {name:?}\ntoken_sha256 = {hashes:?}\n")
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn session(file: &TokenFile, token: &Token) -> Option<Session> {
    file.session(&token.hash())
}

fn error(text: &str) -> String {
    check_tokens(text).unwrap_err().to_string()
}

#[test]
fn an_entry_has_a_namespace_a_role_credentials_and_a_quota() {
    let token = Token::generate().unwrap();
    let fixture = Fixture::new(&format!(
        "[[principal]]
name = 'van 7'
namespace = 'acme'
role = 'admin'
token_sha256 = ['{}', '{}']
certificate_names = ['spiffe://a/b', 'c.d']
[principal.quota]
max_streams = 1
max_points_per_second = 2_000
max_bytes_per_second = 0x10
max_recordings = 3

[[principal]]
name = 'plain'
certificate_names = ['e']
",
        token.hash(),
        Token::generate().unwrap().hash(),
    ));
    let file = fixture.load();
    let found = session(&file, &token).unwrap();
    assert_eq!(found.expires_at, None);
    let principal = &*found.principal;
    assert_eq!(&*principal.name, "van 7");
    assert_eq!(principal.namespace.as_ref().unwrap().as_str(), "acme");
    assert_eq!(principal.role, Role::Admin);
    let quota = Quota {
        max_streams: Some(1),
        max_points_per_second: Some(2000),
        max_bytes_per_second: Some(16),
        max_recordings: Some(3),
    };
    assert_eq!(principal.quota, quota);
    let of = |uris: &[&str], dns: &[&str]| file.certificate_principal(&owned(uris), &owned(dns));
    let same = of(&["spiffe://other", "spiffe://a/b"], &["c.d"]).unwrap().unwrap();
    assert!(Arc::ptr_eq(&same, &found.principal));
    let plain = of(&[], &["e"]).unwrap().unwrap();
    assert_eq!(
        (&plain.namespace, plain.role, plain.quota),
        (&None, Role::Writer, Quota::default())
    );
    assert!(of(&["f"], &["g"]).unwrap().is_none());
    assert!(of(&["spiffe://a/b"], &["e"]).is_err(), "the names belong to two principals");
    assert!(session(&file, &Token::generate().unwrap()).is_none());
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_known_key() {
    let with =
        |line: &str| error(&format!("[[principal]]\nname = 'a'\ncertificate_names = []\n{line}"));
    insta::assert_snapshot!(with("token = []"), @r#"line 4: unknown key "token"; did you mean token_sha256?"#);
    insta::assert_snapshot!(with("Token_SHA256 = []"), @r#"line 4: unknown key "Token_SHA256"; did you mean token_sha256?"#);
    insta::assert_snapshot!(with("frobnicate = 1"), @r#"line 4: unknown key "frobnicate"; the keys are: name, namespace, role, token_sha256, certificate_names, quota"#);
    insta::assert_snapshot!(with("[principal.quota]\nmax_stream = 1"), @r#"line 5: unknown key "max_stream"; did you mean max_streams?"#);
    insta::assert_snapshot!(error("[[principals]]\nname = 'a'"), @r#"line 1: unknown key "principals"; did you mean principal?"#);
}

#[test]
fn wrong_values_are_errors_with_a_line_and_a_remedy() {
    let with = |line: &str| error(&format!("[[principal]]\nname = 'a'\n{line}\n"));
    insta::assert_snapshot!(with(""), @"line 1: the principal has no token_sha256 and no certificate_names, so it cannot be used; add one");
    insta::assert_snapshot!(with("name = 'b'"), @"line 3: is not valid TOML: duplicate key");
    insta::assert_snapshot!(with("role = 'root'"), @"line 3: a role is reader, writer or admin");
    insta::assert_snapshot!(with("namespace = 'a/b'"), @"line 3: a namespace has 1 to 64 characters of A-Z a-z 0-9 - _ . ~, and is not - alone");
    insta::assert_snapshot!(with("namespace = '~dns.a'"), @"line 3: a namespace that starts with ~ is reserved for tokens and certificates that are not in this file; use another one");
    insta::assert_snapshot!(with("namespace = 7"), @"line 3: namespace is not a string; write it in quotes");
    insta::assert_snapshot!(with("certificate_names = 'a'"), @r#"line 3: certificate_names is not a list; write certificate_names = ["..."]"#);
    insta::assert_snapshot!(with("certificate_names = ['']"), @"line 3: a certificate name has 1 to 2048 bytes");
    insta::assert_snapshot!(with("token_sha256 = [\n1]"), @"line 4: an item of token_sha256 is not a string; write it in quotes");
    insta::assert_snapshot!(with("certificate_names = []\nquota = 1"), @"line 4: quota is not a table; write [principal.quota]");
    insta::assert_snapshot!(with("certificate_names = []\nquota.max_streams = -1"), @"line 4: max_streams is not a number from 1 to 4294967295");
    insta::assert_snapshot!(with("certificate_names = []\nquota.max_streams = 4294967296"), @"line 4: max_streams is not a number from 1 to 4294967295");
    for key in ["max_streams", "max_points_per_second", "max_bytes_per_second"] {
        let text = with(&format!("certificate_names = []\nquota.{key} = 0"));
        assert_eq!(text, format!("line 4: {key} is 0, and must be at least 1"));
    }
    insta::assert_snapshot!(with("certificate_names = []\nquota.max_recordings = 0"), @r#"line 4: max_recordings is 0, and must be at least 1; use role = "reader""#);
    insta::assert_snapshot!(with("certificate_names = []\nquota.max_recordings = 1.5"), @"line 4: max_recordings is not a number from 1 to 9223372036854775807");
    insta::assert_snapshot!(error("principal = 1"), @"line 1: principal is not a list; write [[principal]]");
    insta::assert_snapshot!(error("principal = [1]"), @"line 1: principal is not a table; write [[principal]]");
    insta::assert_snapshot!(error("[principal]\nname = 'a'"), @"line 1: principal is not a list; write [[principal]]");
    insta::assert_snapshot!(error("[[principal]]\nrole = 'admin'"), @r#"line 1: the principal has no name; add name = "...""#);
    insta::assert_snapshot!(error("[[principal]]\nname = \"a\\n\"\ncertificate_names = []"), @"line 2: a name has 1 to 256 bytes and no control characters");
    insta::assert_snapshot!(error(""), @"has no [[principal]] table; make one with: waywiser token new");
    assert!(error("[[principal").starts_with("line 1: is not valid TOML: "));
    assert_eq!(check_tokens("principal = []"), Ok(0));
}

#[test]
fn values_that_repeat_are_errors_with_both_lines() {
    let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
    let first = entry("a", &[&one, &other]);
    insta::assert_snapshot!(error(&format!("{first}{}", entry("a", &[]))), @"line 5: the name is already used in line 2; remove one");
    insta::assert_snapshot!(error(&format!("{first}{}", entry("b", &[&other]))), @"line 6: the token is already used in line 3; remove one");
    insta::assert_snapshot!(error(&entry("a", &[&one, &one])), @"line 3: the token is already used in line 3; remove one");
    let named =
        |name: &str| format!("[[principal]]\nname = '{name}'\ncertificate_names = ['c.d']\n");
    insta::assert_snapshot!(error(&format!("{}{}", named("a"), named("b"))), @"line 6: the certificate name is already used in line 3; remove one");
}

#[test]
fn a_token_in_the_place_of_a_hash_is_not_in_the_error() {
    let token = Token::generate().unwrap();
    let token = token.as_str();
    for text in [
        format!("[[principal]]\nname = 'a'\ntoken_sha256 = ['{token}']"),
        format!("[[principal]]\nname = 'a'\ntoken_sha256 = '{token}'"),
        format!("[[principal]]\nname = 'a'\ntoken_sha256 = [{token}]"),
        format!("[[principal]]\nname = 'a'\ntoken_sha256 = ['{token}"),
        format!("[[principal]]\nname = 'a'\nrole = '{token}'"),
        format!("[[principal]]\nname = 'a'\nnamespace = '{token}/'"),
        format!("[[principal]]\nname = 'a' {token}"),
    ] {
        let error = error(&text);
        assert!(error.starts_with("line "), "{error}");
        assert!(!error.contains(&token[..8]), "{error}");
    }
}

#[test]
fn a_file_with_too_many_principals_or_credentials_is_refused() {
    let many = |count: usize| {
        let entry =
            |index| format!("[[principal]]\nname = '{index}'\ncertificate_names = ['{index}']\n");
        (0..count).map(entry).collect::<String>()
    };
    assert_eq!(check_tokens(&many(10_000)), Ok(10_000));
    assert!(error(&many(10_001)).ends_with("more principals than the limit of 10000"));
    let names = |count: usize| {
        let names: Vec<_> = (0..count).map(|index| index.to_string()).collect();
        format!("[[principal]]\nname = 'a'\ncertificate_names = {names:?}\n")
    };
    assert_eq!(check_tokens(&names(32)), Ok(1));
    assert!(error(&names(33)).ends_with("more items than the limit of 32"));
}

#[test]
fn a_reload_revokes_what_was_removed_or_changed_and_nothing_else() {
    let tokens: Vec<_> = (0..4).map(|_| Token::generate().unwrap()).collect();
    let [kept, rotated, changed, removed] = &tokens[..] else { panic!() };
    let fixture = Fixture::new(
        &[
            entry("kept", &[kept, rotated]),
            entry("changed", &[changed]),
            entry("removed", &[removed]),
        ]
        .concat(),
    );
    let file = fixture.load();
    let before: Vec<_> = tokens.iter().map(|token| session(&file, token).unwrap()).collect();
    assert_eq!(file.reload(false).unwrap(), None);

    let new = Token::generate().unwrap();
    fixture.write(
        &[
            entry("new", &[]),
            entry("changed", &[changed]) + "role = 'reader'\n",
            entry("kept", &[&new, kept]),
        ]
        .concat(),
    );
    assert_eq!(file.reload(false).unwrap(), None, "the first read");
    let reloaded = Reloaded { principals: 3, revoked: 3 };
    assert_eq!(file.reload(false).unwrap(), Some(reloaded));
    let revoked: Vec<_> = before.iter().map(|session| session.revoked.is_revoked()).collect();
    assert_eq!(revoked, [false, true, true, true]);
    let after: Vec<_> = tokens.iter().map(|token| session(&file, token)).collect();
    assert!(Arc::ptr_eq(&after[0].as_ref().unwrap().principal, &before[0].principal));
    assert!(after[1].is_none() && after[3].is_none());
    let changed = after[2].as_ref().unwrap();
    assert_eq!(changed.principal.role, Role::Reader);
    assert!(!changed.revoked.is_revoked());
    let new = session(&file, &new).unwrap();
    assert!(Arc::ptr_eq(&new.principal, &before[0].principal), "a new token of the same principal");
}

#[test]
fn a_wrong_file_changes_nothing_and_stays_an_error_until_it_is_right() {
    let token = Token::generate().unwrap();
    let good = entry("a", &[&token]);
    let fixture = Fixture::new(&good);
    let file = fixture.load();
    let before = session(&file, &token).unwrap();
    for wrong in ["", "[[principal", "\u{0}"] {
        fixture.write(wrong);
        assert!(file.reload(true).is_err());
        let _ = file.reload(false);
        assert!(file.reload(false).is_err() && file.reload(false).is_err(), "{wrong:?}");
        assert!(session(&file, &token).is_some());
    }
    fixture.write(&good);
    let _ = file.reload(false);
    let reloaded = Reloaded { principals: 1, revoked: 0 };
    assert_eq!(file.reload(false).unwrap(), Some(reloaded));
    assert!(!before.revoked.is_revoked());
    fs::remove_file(&fixture.path).unwrap();
    let error = file.reload(false).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert!(session(&file, &token).is_some());
}
