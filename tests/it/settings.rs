//! The settings of the program: the file, the signal that reloads it, service managers, completions and manual pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::binary;
use crate::program::{run, waywiser};
use crate::skip::skipped;

/// Runs the program with a file of settings. Returns exit status, output and error.
fn with_file(arguments: &[&str], settings: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    fs::write(&file, settings).unwrap();
    let file = file.to_str().unwrap();
    let (code, out, errors) = run(&[arguments, &["--config", file]].concat());
    (code, out.replace(file, "FILE"), errors.replace(file, "FILE"))
}

#[test]
fn the_exit_status_of_a_check_says_what_is_wrong() {
    let check = ["config", "check"];
    let valid = "listen = \"127.0.0.1:0\"\n[limits]\nmax-memory = \"64MiB\"\n";
    assert_eq!(
        with_file(&check, valid),
        (Some(0), "the settings are valid\n".to_owned(), String::new())
    );
    for (settings, message) in [
        (
            "lisen = \"a\"",
            "error: FILE, line 1: lisen is not a setting; the nearest one is listen\n",
        ),
        (
            "\nretention = \"0s\"",
            "error: --retention is 0 s, and must be more than 0 s, at most 100 years (FILE, line 2)\n",
        ),
        (
            "log-filter = \"a=b=c\"",
            "error: the log filter \"a=b=c\" (--log-filter or RUST_LOG) is invalid: ",
        ),
        (
            "log-filter = \"warning\"",
            "error: the log filter \"warning\" (--log-filter or RUST_LOG) is invalid: \"warning\" is not a level; \
             the nearest one is warn; use one of off, error, warn, info, debug and trace, or target=level such as \
             waywiser=debug (FILE, line 1)\n",
        ),
    ] {
        for command in [&check[..], &["serve"]] {
            let (code, out, errors) = with_file(command, settings);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{errors}");
            assert!(errors.starts_with(message), "{errors}");
        }
    }
    let missing = "tls-cert = \"no-such.pem\"\ntls-key = \"no-such.key\"\n";
    let (code, out, errors) = with_file(&check, missing);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{errors}");
    assert!(errors.contains("no-such."), "{errors}");
    let half = with_file(&check, "tls-cert = \"no-such.pem\"");
    assert_eq!(half.0, Some(2));
    assert!(half.2.contains("note: --tls-cert is set by FILE, line 1"), "{}", half.2);
    let (code, _, errors) = run(&["config", "check", "--config", "no-such-file"]);
    assert_eq!(code, Some(2));
    assert!(errors.starts_with("error: cannot read the settings in no-such-file: "), "{errors}");
}

#[test]
fn a_check_reports_what_the_server_would_warn_about() {
    let exposed = "listen = \"0.0.0.0:0\"\ninsecure = true\nadmin-listen = \"0.0.0.0:0\"\n";
    let (code, out, errors) = with_file(&["config", "check"], exposed);
    assert_eq!((code, out.as_str()), (Some(0), "the settings are valid\n"), "{errors}");
    let warnings: Vec<&str> = errors.lines().collect();
    assert_eq!(warnings.len(), 2, "{errors}");
    assert!(warnings[0].starts_with("warning: other machines may be able to reach 0.0.0.0:0, "));
    assert!(
        warnings[1]
            .starts_with("warning: --admin-listen 0.0.0.0:0: the listener for operators has no")
    );

    let mut check = crate::program::waywiser(&["config", "check"]);
    let output = check.env_remove("HOME").env_remove("XDG_STATE_HOME").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("there is no home directory for recordings"), "{errors}");
}

#[test]
fn printed_settings_are_accepted_as_a_file() {
    let mut print = binary::waywiser(["serve", "--print-config", "--ephemeral"]);
    let printed =
        print.env("WAYWISER_RETENTION", "3d").env("WAYWISER_THREAD", "3").output().unwrap();
    assert_eq!(printed.status.code(), Some(0));
    let warning = String::from_utf8(printed.stderr).unwrap();
    assert_eq!(
        warning,
        "warning: the variable WAYWISER_THREAD has no effect; the nearest one is WAYWISER_THREADS\n"
    );
    let printed = String::from_utf8(printed.stdout).unwrap();
    for line in [
        "ephemeral = true # flag",
        "retention = \"3d\" # environment, WAYWISER_RETENTION",
        "threads = 0 # default",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
    let (code, again, _) = with_file(&["serve", "--print-config"], &printed);
    assert_eq!(code, Some(0));
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(" # ").next().unwrap().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&printed));
}

/// A server with such a file must not run without the setting.
#[test]
fn a_file_without_a_secret_is_refused_or_means_the_same() {
    let print = |flags: &[&str]| {
        let (code, out, errors) = run(&[&["serve", "--print-config"], flags].concat());
        assert_eq!(code, Some(0), "{errors}");
        assert!(!out.contains("hunter2"), "{out}");
        out
    };
    let keys = "https://keys.example.org/a?key=hunter2";
    let printed =
        print(&["--jwks", keys, "--jwt-issuer", "a", "--jwt-audience", "b", "--ephemeral"]);
    let (code, _, errors) = with_file(&["config", "check"], &printed);
    assert_eq!(code, Some(2), "{errors}");
    let advice = ": --print-config did not print the value of jwks: write it here, set WAYWISER_JWKS, or remove the line";
    assert!(errors.contains(advice), "{errors}");
    // A source of higher precedence has it.
    let flags = ["serve", "--print-config", "--jwks", "https://keys.example.org/a"];
    let (code, again, errors) = with_file(&flags, &printed);
    assert_eq!(code, Some(0), "{errors}");
    assert!(again.contains("\njwks = \"https://keys.example.org/a\" # flag\n"), "{again}");
    // The URL of a database stays, and its password comes from another source.
    let printed = print(&["--store", "postgres://way:hunter2@db/paths"]);
    let (code, again, errors) = with_file(&["serve", "--print-config"], &printed);
    assert_eq!(code, Some(0), "{errors}");
    assert!(again.contains("\nstore = \"postgres://way@db/paths\" # "), "{again}");
}

#[cfg(unix)]
mod service {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;
    use std::process::{Child, Stdio};

    use super::*;
    use crate::serve_process::Serve;

    fn signal(process: &Child, name: &str) {
        let id = process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    #[test]
    fn sighup_reloads_the_log_filter_of_the_file_and_keeps_a_valid_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        let write = |text: &str| {
            let text = format!("listen = \"127.0.0.1:0\"\nephemeral = true\n{text}");
            fs::write(&file, text).unwrap();
        };
        write("log-filter = \"warn\"");
        let mut serve = binary::waywiser(["serve", "--config", file.to_str().unwrap()]);
        let mut serve = Serve::spawn(serve.stderr(Stdio::piped())).unwrap();
        let mut log = BufReader::new(serve.process.stderr.take().unwrap()).lines();
        let mut next = || log.next().unwrap().unwrap();

        write("log-filter = 7");
        signal(&serve.process, "-HUP");
        let line = next();
        assert!(
            line.contains("cannot reload") && line.contains("line 3: log-filter must be"),
            "{line}"
        );

        // This would be the name of a target, and nothing would be logged any more.
        write("log-filter = \"inof\"");
        signal(&serve.process, "-HUP");
        let line = next();
        assert!(line.contains("cannot reload") && line.contains("nearest one is info"), "{line}");

        // The new filter lets the second line pass.
        write("log-filter = \"info\"\nmax-connections = 9");
        signal(&serve.process, "-HUP");
        let line = next();
        assert!(line.contains("needs a restart") && line.contains("max-connections"), "{line}");
        let line = next();
        assert!(line.contains("reloaded") && line.contains("log filter"), "{line}");

        let address = serve.address.to_string();
        let (code, _, errors) = run(&["record", "--server", &address, "examples/legs.csv"]);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        signal(&serve.process, "-TERM");
        assert_eq!(serve.process.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn sighup_drains_a_server_with_nothing_to_reload() {
        let mut serve = binary::waywiser(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
        let mut serve = Serve::spawn(serve.stderr(Stdio::piped())).unwrap();
        signal(&serve.process, "-HUP");
        assert_eq!(serve.process.wait().unwrap().code(), Some(0));
        let log = std::io::read_to_string(serve.process.stderr.take().unwrap()).unwrap();
        assert!(log.contains("SIGHUP starts a drain"), "{log}");
    }

    #[test]
    fn a_service_manager_is_notified_of_each_state() {
        let folder = tempfile::tempdir().unwrap();
        let (file, socket) = (folder.path().join("w.toml"), folder.path().join("notify"));
        fs::write(&file, "listen = \"127.0.0.1:0\"\nephemeral = true\n").unwrap();
        let notifications = UnixDatagram::bind(&socket).unwrap();
        let mut serve = binary::waywiser(["serve", "--config", file.to_str().unwrap()]);
        serve.stderr(Stdio::null()).env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "20000");
        let mut serve = Serve::spawn(&mut serve).unwrap();
        let received = || {
            let mut buffer = [0; 256];
            let length = notifications.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        let next = || loop {
            match received() {
                watchdog if watchdog == "WATCHDOG=1\n" => {}
                other => return other,
            }
        };
        assert_eq!(received(), "READY=1\n");
        assert_eq!(
            (received(), received()),
            ("WATCHDOG=1\n".to_owned(), "WATCHDOG=1\n".to_owned())
        );
        signal(&serve.process, "-HUP");
        let reloading = next();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(next(), "READY=1\n");
        signal(&serve.process, "-TERM");
        assert_eq!(next(), "STOPPING=1\n");
        assert_eq!(serve.process.wait().unwrap().code(), Some(0));
    }

    /// Returns a command that passes sockets to the program as a service manager does, from descriptor 3.
    fn activated(socket: OwnedFd, sockets: &str) -> Command {
        let script = "exec 3<&0 4<&0 </dev/null; export LISTEN_PID=$$; exec \"$@\"";
        let mut serve = Command::new("sh");
        serve.args(["-c", script, "sh"]).arg(binary::path());
        serve.args(["serve", "--ephemeral", "--listen", "127.0.0.1:1"]);
        serve.stdin(socket).env("LISTEN_FDS", sockets).env_remove("RUST_LOG");
        serve
    }

    #[test]
    fn a_listener_of_a_service_manager_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut serve = activated(listener.into(), "1");
        let serve = Serve::spawn(serve.stderr(Stdio::null())).unwrap();
        assert_eq!(serve.address, address);
        let server = address.to_string();
        let (code, _, errors) = run(&["record", "--server", &server, "examples/legs.csv"]);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
    }

    #[test]
    fn sockets_of_a_service_manager_that_cannot_be_used_are_refused() {
        let listener = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let datagrams = || OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let too_many = "the service manager passes 2 sockets";
        let unusable = "the socket of the service manager cannot be used";
        for (socket, sockets, message) in
            [(listener(), "2", too_many), (datagrams(), "1", unusable)]
        {
            let output = activated(socket, sockets).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{errors}");
            assert!(errors.contains(message), "{errors}");
        }
    }
}

/// Runs a checker if this machine has it, and fails if it reports an error.
fn check_with(checker: &str, arguments: &[&str], file: &Path) {
    match Command::new(checker).args(arguments).arg(file).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && text.is_empty(), "{checker}: {text}");
        }
        Err(error) => skipped(format!("{checker}: {error}")),
    }
}

#[test]
fn shells_accept_the_scripts_for_completion() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, errors) = run(&["completions", shell]);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        for word in ["serve", "max-connections", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let file = folder.path().join(shell);
        fs::write(&file, script).unwrap();
        if ["bash", "zsh", "fish"].contains(&shell) {
            check_with(shell, &["-n"], &file);
        }
    }
}

#[test]
fn every_command_has_a_manual_page_that_man_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("new/pages");
    let (code, out, errors) = run(&["man", "--output", pages.to_str().unwrap()]);
    assert_eq!((code, out.as_str(), errors.as_str()), (Some(0), "", ""));
    let mut names: Vec<String> = fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in
        ["waywiser.1", "waywiser-serve.1", "waywiser-config-check.1", "waywiser-paths-list.1"]
    {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    for name in names {
        let page = fs::read_to_string(pages.join(&name)).unwrap();
        let title = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
        let rest = concat!("\"waywiser ", env!("CARGO_PKG_VERSION"), "\" \"Waywiser Manual\"");
        assert!(title.ends_with(rest), "{title}");
        assert!(!page.contains(".SH EXTRA"), "{name}");
        let mut headings: Vec<_> = page.lines().filter(|line| line.starts_with(".SH ")).collect();
        let all = headings.len();
        headings.sort_unstable();
        headings.dedup();
        assert_eq!(headings.len(), all, "{name}");
        check_with("groff", &["-ww", "-man", "-z", "-Tutf8", "-Kutf8"], &pages.join(name));
    }
    let date = |seconds: &str, expected: &str| {
        let mut command = waywiser(&["man", "--output", pages.to_str().unwrap()]);
        assert!(command.env("SOURCE_DATE_EPOCH", seconds).status().unwrap().success());
        let page = fs::read_to_string(pages.join("waywiser-token-new.1")).unwrap();
        assert!(page.contains(&format!(".TH waywiser-token-new 1 {expected} ")), "{page}");
    };
    date("0", "1970-01-01");
    date("1000000000", "2001-09-09");
    let mut command = waywiser(&["man", "--output", pages.to_str().unwrap()]);
    assert_eq!(command.env("SOURCE_DATE_EPOCH", "x").status().unwrap().code(), Some(2));
    let serve = fs::read_to_string(pages.join("waywiser-serve.1")).unwrap();
    assert!(serve.contains("WAYWISER_MAX_CONNECTIONS"), "{serve}");

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (code, _, errors) = run(&["man", "--output", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("error: cannot write manual pages to "), "{errors}");
    // Other commands write to standard output.
    let mut command = waywiser(&["man", "--output", "-"]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("write ./-"));
    assert!(!folder.path().join("-").exists());
    let mut command = waywiser(&["man", "--output", "./-"]);
    assert!(command.current_dir(folder.path()).status().unwrap().success());
    assert!(folder.path().join("-/waywiser.1").exists());
}
