//! The metrics and the listener for operators of a running server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use waywiser::proto::my_package;

use crate::binary::waywiser;
use crate::serve_process::Serve;

mod deploy;
mod exposition;
mod pages;
mod promql;
mod series;

/// The issuer of the tokens of [`Observed::with_security`].
pub const ISSUER: &str = "https://issuer.example/\\\"";

/// A server process with a listener for operators.
pub struct Observed {
    pub serve: Serve,
    pub admin: SocketAddr,
}

impl Observed {
    /// Starts a server that keeps recordings in memory.
    pub fn start() -> Self {
        Self::with(&["--ephemeral"])
    }

    /// Starts a server with a store on disk in this directory.
    pub fn on_disk(directory: &Path) -> Self {
        Self::with(&["--data-dir", directory.to_str().unwrap()])
    }

    /// Starts a server with a token file, a key set and TLS, whose certificate expires at the start of the year 2035. The
    /// name of the issuer has characters that a label must escape.
    pub fn with_security(directory: &Path) -> Self {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2035, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let [cert_file, key_file] = ["server.pem", "server.key"].map(|name| directory.join(name));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let [cert_file, key_file] = [&cert_file, &key_file].map(|file| file.to_str().unwrap());
        let tokens = directory.join("tokens.toml");
        let hash = "0123456789abcdef".repeat(4);
        let principal = format!(
            "[[principal]]\nname = \"a\"\nrole = \"reader\"\ntoken_sha256 = [\"{hash}\"]\n"
        );
        std::fs::write(&tokens, principal).unwrap();
        std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(0o600)).unwrap();
        let tokens = tokens.to_str().unwrap();
        let keys = directory.join("keys.json");
        let x = "A".repeat(43);
        let key = format!("{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{x}\"}}");
        std::fs::write(&keys, format!("{{\"keys\":[{key}]}}")).unwrap();
        std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
        let jwt = ["--jwks", keys.to_str().unwrap(), "--jwt-issuer", ISSUER, "--jwt-audience", "a"];
        let settings = directory.join("waywiser.toml");
        std::fs::write(&settings, "log-filter = \"info\"\n").unwrap();
        let tls = ["--tls-cert", cert_file, "--tls-key", key_file];
        let settings = ["--config", settings.to_str().unwrap(), "--tokens", tokens];
        Self::with(&[&["--ephemeral"], &settings[..], &tls[..], &jwt[..]].concat())
    }

    /// Starts a server with these arguments.
    pub fn with(arguments: &[&str]) -> Self {
        let server = Self::spawn(arguments);
        while server.ask("GET", "/readyz", "").status != 200 {}
        server
    }

    /// Starts a server whose database cannot be reached: nothing listens at `database`.
    pub fn without_database(database: SocketAddr) -> Self {
        Self::spawn(&["--store", &format!("postgres://way:hunter2@{database}/paths")])
    }

    /// Starts a server with these arguments, which may not be ready yet.
    pub fn spawn(arguments: &[&str]) -> Self {
        let mut command = waywiser(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "0"]);
        command.args(["--log-format", "json"]).args(arguments).stderr(Stdio::piped());
        let mut serve = Serve::spawn(&mut command).unwrap();
        let mut log = BufReader::new(serve.process.stderr.take().unwrap()).lines();
        let admin = log.find_map(|line| {
            let line = line.unwrap();
            let rest =
                line.contains("listening for operators").then(|| line.split_once("\"address\":\""));
            Some(rest??.1.split_once('"')?.0.parse().unwrap())
        });
        // The rest of the log is read, so that the pipe does not fill.
        std::thread::spawn(move || log.count());
        Self { serve, admin: admin.unwrap() }
    }

    /// Sends a request to the listener for operators.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> Reply {
        ask(self.admin, &format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{headers}"))
    }

    /// Returns the metrics in the format of Prometheus.
    pub fn metrics(&self) -> String {
        let reply = self.ask("GET", "/metrics", "");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// Returns the metrics in the format of OpenMetrics.
    pub fn open_metrics(&self) -> String {
        let accept = "Accept: application/openmetrics-text\r\n";
        let reply = self.ask("GET", "/metrics", accept);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// Performs calls of several kinds, some of which fail.
    pub async fn use_services(&self) {
        let url = format!("http://{}", self.serve.address);
        let channel =
            tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        let mut planar = my_package::displacement_service_client::DisplacementServiceClient::new(
            channel.clone(),
        );
        let points = (0..50).map(|x| my_package::Point { x, y: 0 });
        let reply = planar.compute_path_length(tokio_stream::iter(points)).await.unwrap();
        assert_eq!(reply.into_inner().length, 49.0);
        let mut paths =
            waywiser::proto::waywiser_v1::path_service_client::PathServiceClient::new(channel);
        let request = waywiser::proto::waywiser_v1::GetPathRequest {
            name: "paths/none".into(),
            ..Default::default()
        };
        paths.get_path(request).await.unwrap_err();
    }
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Sends the head of a request without its last line, and reads the answer to its end.
pub fn ask(address: SocketAddr, head: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply { status: status.unwrap_or(0), head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Sends a signal, such as `-TERM`.
pub fn signal(serve: &Serve, signal: &str) {
    let pid = serve.process.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}
