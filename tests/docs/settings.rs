//! Checks the `toml` blocks of the documents with `waywiser config check`.
//!
//! A block has the marker `config check: OPTION`, where OPTION takes the file: `--config` for a file of settings,
//! `--tokens` for a token file. Files in `/etc/waywiser` are in the directory of the test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::binary;
use super::markdown::Block;

/// The directory of files in the documents.
const DIRECTORY: &str = "/etc/waywiser";

/// Returns the option that takes a block as its file, if the block has one.
pub fn option(block: &Block) -> Option<&str> {
    block.marker.as_deref()?.strip_prefix("config check: ")
}

/// Checks a block. The files that it may name exist.
///
/// # Errors
/// Returns the output of the command if it refuses the block.
pub fn check(block: &Block, option: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make_files(directory);
    let text = block.text.replace(DIRECTORY, directory.to_str().unwrap());
    let file = directory.join("block.toml");
    write(&file, &text);
    let mut command = binary::waywiser(["config", "check", option]);
    let output = command.arg(file).current_dir(directory).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&printed).into_owned()),
    }
}

/// Makes `server.pem`, `server.key`, `tokens.toml` and `database-password`.
fn make_files(directory: &Path) {
    let names = vec!["localhost".to_owned()];
    let pair = rcgen::generate_simple_self_signed(names).unwrap();
    write(&directory.join("server.pem"), &pair.cert.pem());
    write(&directory.join("server.key"), &pair.signing_key.serialize_pem());
    write(&directory.join("database-password"), "correct-horse-battery");
    let arguments = ["token", "new", "--name", "van-7", "--append", "tokens.toml"];
    let made = binary::waywiser(arguments).current_dir(directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Writes a file that only its owner can read.
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_wrong_block_is_refused() {
    let block = |text: &str| Block {
        language: "toml".to_owned(),
        marker: None,
        text: text.to_owned(),
        line: 1,
    };
    let settings =
        "tls-cert = \"/etc/waywiser/server.pem\"\ntls-key = \"/etc/waywiser/server.key\"";
    assert_eq!(check(&block(settings), "--config"), Ok(()));
    let error =
        check(&block(&settings.replace("server.key", "other.key")), "--config").unwrap_err();
    assert!(error.contains("other.key"), "{error}");
    let error = check(&block("max-conections = 5"), "--config").unwrap_err();
    assert!(error.contains("max-connections"), "{error}");
    assert!(check(&block("[[principal]]"), "--tokens").is_err());
}
