//! The program with certificates in files, and the `openssl` program as its client.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tonic::Code;

use crate::program::{run, waywiser};
use crate::serve_process::Serve;
use crate::skip::skipped;
use crate::support::pki::{Ca, Client};

/// A directory with the certificate of a server.
struct Files(tempfile::TempDir);

impl Files {
    fn new(ca: &Ca) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let pair = ca.server();
        fs::write(files.path("server.pem"), pair.certificate).unwrap();
        fs::write(files.path("server.key"), pair.key).unwrap();
        fs::write(files.path("ca.pem"), &ca.pem).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Returns the command of a server, whose log is piped.
    fn serve(&self, more: &[&str]) -> Command {
        let (certificate, key) = (self.text("server.pem"), self.text("server.key"));
        let mut command = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
        command.args(["--tls-cert", &certificate, "--tls-key", &key]).args(more);
        command.stderr(Stdio::piped());
        command
    }
}

/// Returns the first line of a log that contains the text. Waits for it.
fn line_with(log: &mut impl std::io::BufRead, text: &str) -> String {
    let mut line = String::new();
    while log.read_line(&mut line).unwrap() > 0 {
        if line.contains(text) {
            return line;
        }
        line.clear();
    }
    panic!("the log has no line with {text:?}");
}

/// Returns what `openssl s_client` prints. It sends nothing.
fn s_client(address: SocketAddr, arguments: &[&str]) -> Option<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-servername", "localhost"])
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => Some(
            [output.stdout, output.stderr]
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .concat(),
        ),
        Err(error) => {
            skipped(format_args!("the tests with openssl: {error}"));
            None
        }
    }
}

#[test]
fn openssl_negotiates_both_versions_and_verifies_the_certificate() {
    let ca = Ca::new();
    let files = Files::new(&ca);
    let mut serve = Serve::spawn(&mut files.serve(&[])).unwrap();
    let roots = files.text("ca.pem");
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let arguments = ["-CAfile", &roots, "-verify_return_error", "-alpn", "h2", option];
        let Some(text) = s_client(serve.address, &arguments) else { return };
        assert!(text.contains("ALPN protocol: h2"), "{text}");
        assert!(text.contains(version), "{text}");
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    }
    let text = s_client(serve.address, &["-CAfile", &roots]).unwrap();
    assert!(text.contains("no application protocol"), "{text}");
    let text = s_client(serve.address, &["-CAfile", &roots, "-alpn", "h2", "-tls1_1"]).unwrap();
    assert!(!text.contains("ALPN protocol: h2"), "{text}");
    let mut log = BufReader::new(serve.process.stderr.take().unwrap());
    line_with(&mut log, "does not offer HTTP/2");
}

#[test]
fn keys_and_certificates_of_openssl_are_loaded() {
    let ca = Ca::new();
    let files = Files::new(&ca);
    let commands = [
        ("rsa:2048", "pkey -traditional"),             // PKCS#1
        ("rsa:2048", "pkey"),                          // PKCS#8
        ("ec -pkeyopt ec_paramgen_curve:P-256", "ec"), // SEC1
        ("ec -pkeyopt ec_paramgen_curve:P-384", "pkey"),
        ("ed25519", "pkey"),
    ];
    for (kind, form) in commands {
        let openssl = |arguments: String| {
            let mut command = Command::new("openssl");
            let command = command.args(arguments.split(' ')).current_dir(files.0.path());
            command.stderr(Stdio::null()).status().map(|status| status.success())
        };
        let request = format!(
            "req -x509 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
             -keyout any.key -out server.pem -newkey {kind}"
        );
        match openssl(request) {
            Ok(is_success) => assert!(is_success, "{kind}"),
            Err(error) => return skipped(format_args!("the keys of openssl: {error}")),
        }
        assert!(openssl(format!("{form} -in any.key -out server.key")).unwrap(), "{form}");
        let serve = Serve::spawn(files.serve(&[]).stderr(Stdio::null())).unwrap();
        let text = s_client(serve.address, &["-CAfile", &files.text("server.pem"), "-alpn", "h2"]);
        let text = text.unwrap();
        assert!(text.contains("Verify return code: 0 (ok)"), "{kind} {form}: {text}");
    }
}

#[test]
fn files_that_cannot_be_used_are_errors_with_their_names() {
    let files = Files::new(&Ca::new());
    let fails = |files: &Files| {
        let output = files.serve(&[]).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        String::from_utf8(output.stderr).unwrap()
    };
    let certificate = fs::read_to_string(files.path("server.pem")).unwrap();
    fs::write(files.path("server.pem"), &certificate[..200]).unwrap();
    let errors = fails(&files);
    assert!(errors.contains("server.pem: is cut off"), "{errors}");
    fs::write(files.path("server.pem"), Ca::new().server().certificate).unwrap();
    let errors = fails(&files);
    assert!(errors.contains("server.key: the key does not belong to"), "{errors}");
    fs::remove_file(files.path("server.pem")).unwrap();
    let errors = fails(&files);
    assert!(errors.contains("server.pem: cannot be read: No such file"), "{errors}");
}

#[test]
fn a_certificate_needs_a_key_and_client_cas_need_a_certificate() {
    for (flag, other) in [
        ("--tls-cert", "--tls-key"),
        ("--tls-key", "--tls-cert"),
        ("--tls-client-ca", "--tls-cert"),
    ] {
        let (code, out, errors) = run(&["serve", "--ephemeral", flag, "server.pem"]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{errors}");
        assert!(errors.contains(other), "{errors}");
    }
}

#[test]
fn the_load_generator_speaks_tls_and_sends_its_token() {
    let files = Files::new(&Ca::new());
    let (tokens, token) = (files.text("tokens.toml"), files.text("token"));
    let new = ["token", "new", "--name", "bench", "--append", &tokens, "--output", &token];
    let (code, _, errors) = run(&new);
    assert_eq!(code, Some(0), "{errors}");
    let serve = Serve::spawn(&mut files.serve(&["--tokens", &tokens])).unwrap();
    let url = format!("https://localhost:{}", serve.address.port());
    let ca = files.text("ca.pem");
    let load = ["bench", "--server", &url, "--points", "1000", "--repeats", "1", "--no-ceiling"];
    let named = ["--method", "record-path", "--named", "--streams", "4", "--connections", "2"];
    let live = ["bench", "--server", &url, "--live", "3", "--interval", "50ms", "--duration", "1s"];
    let rate = ["bench", "--server", &url, "--rate", "100", "--duration", "100ms"];
    let credentials = ["--ca-file", &ca, "--token-file", &token];
    for arguments in [&[&load[..], &named].concat()[..], &load, &live, &rate] {
        let (code, out, errors) = run(&[arguments, &credentials].concat());
        assert_eq!(code, Some(0), "{arguments:?} {out} {errors}");
    }
    for (credentials, message) in [
        (&credentials[..2], "Unauthenticated"),
        (&credentials[2..], "signed by an unknown CA"),
        (&["--ca-file", &ca, "--token-file", "/nowhere/token"], "/nowhere/token"),
    ] {
        let (code, out, errors) = run(&[&load, credentials].concat());
        assert_eq!((code, &*out), (Some(1), ""), "{credentials:?} {errors}");
        assert!(errors.contains(message), "{credentials:?} {errors}");
    }
}

#[test]
#[cfg(unix)]
fn a_key_that_all_users_can_read_is_reported() {
    use std::os::unix::fs::PermissionsExt as _;
    let files = Files::new(&Ca::new());
    let set_mode = |mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(files.path("server.key"), permissions).unwrap();
    };
    let log = |mode| {
        set_mode(mode);
        let mut serve = Serve::spawn(&mut files.serve(&[])).unwrap();
        let mut log = BufReader::new(serve.process.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("listening") {
            assert!(log.read_line(&mut text).unwrap() > 0, "{text}");
        }
        text
    };
    // The same as the check of the settings reports.
    let check = |mode| {
        set_mode(mode);
        let (certificate, key) = (files.text("server.pem"), files.text("server.key"));
        let check =
            ["config", "check", "--ephemeral", "--tls-cert", &certificate, "--tls-key", &key];
        let (code, out, errors) = run(&check);
        assert_eq!((code, &*out), (Some(0), "the settings are valid\n"), "{errors}");
        errors.replace(&key, "KEY").replace(&certificate, "CERTIFICATE")
    };
    let warning = "all users of this system can read the private key; restrict it with: chmod o=";
    assert!(log(0o644).contains(warning));
    assert_eq!(check(0o644), format!("warning: TLS key file KEY: {warning} KEY\n"));
    assert!(!log(0o640).contains(warning));
    assert_eq!(check(0o640), "");

    let expired = Ca::new().issue(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    fs::write(files.path("server.pem"), expired.certificate).unwrap();
    fs::write(files.path("server.key"), expired.key).unwrap();
    let warning = "the certificate has expired; most clients will refuse it";
    assert!(log(0o640).contains(warning));
    let expected = format!("warning: TLS certificate file CERTIFICATE: {warning}\n");
    assert_eq!(check(0o640), expected);
}

#[tokio::test]
async fn changed_files_are_used_without_a_signal() {
    let (old, new) = (Ca::new(), Ca::new());
    let files = Files::new(&old);
    let mut serve = Serve::spawn(&mut files.serve(&[])).unwrap();
    let mut log = BufReader::new(serve.process.stderr.take().unwrap());
    assert_eq!(Client::new(&old).call(serve.address).await, Ok(Code::Ok));
    let pair = new.server();
    let replace = |name: &str, text: &str| {
        fs::write(files.path("temporary"), text).unwrap();
        fs::rename(files.path("temporary"), files.path(name)).unwrap();
    };
    // The old key does not belong to it.
    replace("server.pem", &pair.certificate);
    let log = tokio::task::spawn_blocking(move || {
        line_with(&mut log, "the previous ones stay active");
        log
    });
    let mut log = log.await.unwrap();
    assert_eq!(Client::new(&old).call(serve.address).await, Ok(Code::Ok));
    replace("server.key", &pair.key);
    let log = tokio::task::spawn_blocking(move || line_with(&mut log, "files are active"));
    log.await.unwrap();
    assert_eq!(Client::new(&new).call(serve.address).await, Ok(Code::Ok));
}

/// Also if the content is what it was before.
#[test]
fn files_that_can_be_used_again_are_logged() {
    let files = Files::new(&Ca::new());
    let tokens = files.text("tokens.toml");
    let (code, _, errors) = run(&["token", "new", "--name", "van", "--append", &tokens]);
    assert_eq!(code, Some(0), "{errors}");
    let mut serve = Serve::spawn(&mut files.serve(&["--tokens", &tokens])).unwrap();
    let mut log = BufReader::new(serve.process.stderr.take().unwrap());
    for (name, failure, recovery) in [
        ("server.pem", "the previous ones stay active", "the TLS files can be used again"),
        ("tokens.toml", "credentials cannot be loaded", "credentials can be loaded again"),
    ] {
        let content = fs::read_to_string(files.path(name)).unwrap();
        fs::write(files.path(name), "-").unwrap();
        let line = line_with(&mut log, failure);
        assert!(line.contains(name), "{line}");
        fs::write(files.path(name), content).unwrap();
        let line = line_with(&mut log, recovery);
        assert!(name == "server.pem" || line.contains(name), "{line}");
    }
}

#[test]
fn a_client_of_the_other_kind_of_port_is_logged() {
    fn send(address: SocketAddr, bytes: &[u8]) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
    }
    fn log(serve: &mut Serve) -> BufReader<std::process::ChildStderr> {
        BufReader::new(serve.process.stderr.take().unwrap())
    }
    let files = Files::new(&Ca::new());
    let mut with_tls = Serve::spawn(&mut files.serve(&[])).unwrap();
    send(with_tls.address, b"GET / HTTP/1.1\r\n\r\n");
    let line = line_with(&mut log(&mut with_tls), "requires TLS");
    assert!(line.contains("HTTP/1"), "{line}");
    let mut command = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    let mut without = Serve::spawn(command.stderr(Stdio::piped())).unwrap();
    send(without.address, &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
    let line = line_with(&mut log(&mut without), "TLS handshake");
    assert!(line.contains("plaintext port; enable TLS with --tls-cert"), "{line}");
}
