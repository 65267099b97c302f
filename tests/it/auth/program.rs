//! `waywiser serve` and `waywiser token` as processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::json;
use tonic::Code;
use waywiser::auth::{Token, check_tokens};

use super::{Files, bearer, write_secret};
use crate::program::{run, waywiser};
use crate::serve_process::Serve;
use crate::support::{PATH_LENGTH, Raw, frames};

fn serve(arguments: &[&str]) -> Command {
    let mut command = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    command.args(arguments);
    command
}

#[test]
fn a_server_that_others_can_reach_is_refused_without_protection_and_allowed_with_a_warning() {
    let (code, out, errors) = run(&["serve", "--ephemeral", "--listen", "0.0.0.0:0"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        errors.contains("0.0.0.0:0, and the server has neither TLS nor authentication"),
        "{errors}"
    );
    assert!(errors.contains("--insecure"), "{errors}");
    let mut command = waywiser(&["serve", "--ephemeral", "--listen", "0.0.0.0:0", "--insecure"]);
    let mut serve = Serve::spawn(command.stderr(Stdio::piped())).unwrap();
    let mut log = BufReader::new(serve.process.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("WARN") && line.contains("(--insecure)")));
}

#[test]
#[cfg(unix)]
fn a_token_file_that_cannot_be_used_is_an_error_at_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let files = Files::new(&[("van", &Token::generate().unwrap())]);
    let path = files.tokens();
    let name = path.to_str().unwrap();
    let refusal = || {
        let output = serve(&["--tokens", name]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refusal();
    assert!(error.contains("other users may read or write it (mode 0644)"), "{error}");
    write_secret(&path, "[[principal]]\nname = 'a'\ntoken_sha265 = []\n");
    let error = refusal();
    assert!(
        error.starts_with(&format!("error: token file {name}, line 3: unknown key")),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    assert!(refusal().contains("cannot be read: No such file"));
    let (code, _, errors) = run(&["config", "check", "--tokens", name]);
    assert_eq!(code, Some(1), "{errors}");
}

/// The secrets of callers are in no log line, not even at the finest level.
#[tokio::test]
async fn a_new_token_is_accepted_until_it_is_removed_and_is_never_logged() {
    let kept = Token::generate().unwrap();
    let files = Files::new(&[("kept", &kept)]);
    let (tokens, keys) = (files.tokens(), files.keys());
    let (tokens, keys) = (tokens.to_str().unwrap(), keys.to_str().unwrap());
    let mut command = serve(&[
        "--tokens",
        tokens,
        "--jwks",
        keys,
        "--jwt-issuer",
        "issuer",
        "--jwt-audience",
        "waywiser",
        "--log-filter",
        "trace",
    ]);
    let log = files.folder.path().join("log");
    let mut serve = Serve::spawn(command.stderr(std::fs::File::create(&log).unwrap())).unwrap();

    let (code, token, errors) =
        run(&["token", "new", "--name", "van 7", "--role", "reader", "--append", tokens]);
    assert_eq!(code, Some(0), "{errors}");
    let token = token.trim_end();
    assert!(!errors.contains(token), "{errors}");
    let mut raw = Raw::connect(serve.address).await;
    let probe = async |raw: &mut Raw| {
        let mut probe = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(token))]);
        probe.send(frames(&[(0, 0), (3, 4)]));
        probe.close();
        probe.answer().await.unwrap().code
    };
    // The server reads the file every two seconds.
    while probe(&mut raw).await != Code::Ok {}
    let mut live = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(token))]);
    live.send(frames(&[(0, 0)]));
    // A connection admits its calls in order, so the live one has a session after this answer.
    assert_eq!(probe(&mut raw).await, Code::Ok);
    let jwt = files.issuer.token(json!({}));
    for secret in [jwt.as_str(), kept.as_str()] {
        let mut call = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(secret))]);
        call.close();
        assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    }
    files.write_tokens(&[("kept", &kept)]);
    let answer = live.answer().await.unwrap();
    assert_eq!(answer.reason.as_deref(), Some("CREDENTIALS_CHANGED"), "{}", answer.message);
    drop(raw);
    serve.process.kill().unwrap();
    serve.process.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("token file loaded"), "{log}");
    for secret in [token, &jwt, jwt.rsplit('.').next().unwrap(), kept.as_str()] {
        assert!(!log.contains(secret));
    }
}

#[test]
#[cfg(unix)]
fn a_token_is_made_and_hashed_and_never_an_argument() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (output, tokens) = (path("van.token"), path("tokens.toml"));
    let arguments = ["token", "new", "--name", "van", "--namespace", "acme", "--output", &output];
    let (code, out, errors) = run(&arguments);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{errors}");
    let token = std::fs::read_to_string(&output).unwrap();
    let token: Token = token.trim_end().parse().unwrap();
    let entry = errors.split_once("\n\n").unwrap().1;
    assert_eq!(check_tokens(entry), Ok(1), "{entry}");
    let hash = token.hash().to_string();
    assert!(entry.contains(&hash) && entry.contains("namespace = \"acme\""), "{entry}");

    // The name of standard output is not that of a file.
    let mut printing = waywiser(&["token", "new", "--name", "bike", "--output", "-"]);
    let printed = printing.current_dir(folder.path()).output().unwrap();
    assert!(String::from_utf8(printed.stdout).unwrap().trim_end().parse::<Token>().is_ok());
    assert!(!std::fs::exists(path("-")).unwrap());

    let mut hashing = waywiser(&["token", "hash"]);
    let mut hashing = hashing.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(hashing.stdin.take().unwrap(), "{}", token.as_str()).unwrap();
    let printed = hashing.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), format!("{hash}\n"));
    assert!(printed.status.success());
    let (code, _, errors) = run(&["token", "hash", token.as_str()]);
    assert_eq!(code, Some(2), "a token must not be an argument: {errors}");

    let (code, _, errors) = run(&arguments);
    assert_eq!(code, Some(1), "the file exists");
    assert!(errors.contains("cannot write the token to"), "{errors}");
    let new = path("new.token");
    let append = ["token", "new", "--name", "van", "--append", &tokens, "--output", &new];
    assert_eq!(run(&append).0, Some(0));
    std::fs::remove_file(&new).unwrap();
    let (code, out, errors) = run(&append);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains("the name is already used in line 2"), "{errors}");
    assert!(!std::fs::exists(&new).unwrap(), "a token without an entry is removed");
    // An entry whose token cannot be printed is not added, and creates no file.
    let before = std::fs::read_to_string(&tokens).unwrap();
    let created = path("created.toml");
    for file in [&tokens, &created] {
        let new = ["token", "new", "--name", "lost", "--append", file];
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let outputs: [(Stdio, &str); 3] = [
            (full.into(), "cannot print the token: No space left on device"),
            (closed.into(), "cannot print the token: Broken pipe"),
            (Stdio::null(), "standard output discards the token: name a file with --output"),
        ];
        for (stdout, expected) in outputs {
            let output = waywiser(&new).stdout(stdout).stderr(Stdio::piped()).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{errors}");
            assert!(errors.contains(expected), "{errors}");
        }
        let existing = [&new[..], &["--output", &output]].concat();
        let (code, _, errors) = run(&existing);
        assert_eq!(code, Some(1));
        assert!(errors.contains("cannot write the token to"), "{errors}");
    }
    assert_eq!(std::fs::read_to_string(&tokens).unwrap(), before);
    assert!(!std::fs::exists(&created).unwrap());
    for wrong in [["--name", ""], ["--name", "a\nb"]] {
        assert_eq!(run(&[&["token", "new"], &wrong[..]].concat()).0, Some(2));
    }
    assert_eq!(run(&["token", "new", "--name", "a", "--namespace", "a/b"]).0, Some(2));
    assert_eq!(run(&["token", "new", "--name", "a", "--role", "root"]).0, Some(2));
}
