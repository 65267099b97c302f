//! `waywiser serve`: runs the server until a signal stops it. `limits.rs` has the options that bound it, `tls.rs` its
//! certificates, `auth.rs` its callers, `quotas.rs` the limits per caller, `http.rs` the HTTP listener, `listeners.rs` how listeners are opened, `admin.rs` the listener for operators,
//! `traces.rs` the traces of calls, `features.rs` the features of RouteGuide, `settings` the sources of all
//! options, `signals.rs` and `reload.rs` what signals do, and `service_manager.rs` the protocols of systemd.

mod admin;
mod auth;
mod features;
mod http;
mod limits;
mod listeners;
mod quotas;
mod reload;
mod service_manager;
mod settings;
mod signals;
mod tls;
mod traces;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use clap::{Args, FromArgMatches as _, ValueEnum};
use tokio::net::TcpListener;

use self::admin::AdminArgs;
use self::auth::AuthArgs;
use self::features::FeatureArgs;
use self::http::HttpArgs;
use self::limits::LimitArgs;
use self::listeners::{address, main_listener};
use self::quotas::QuotaArgs;
use self::reload::{ReloadStatus, Reloads};
pub(super) use self::settings::{Parsed, Rejection, Settings, parse, with_variables};
use self::signals::Signals;
use self::tls::TlsArgs;
use self::traces::TraceArgs;
use super::report::escape_control;
use super::store::StoreArgs;
use super::{Outcome, fail, stderr, usage_error};
use crate::auth::Access;
use crate::server::{Config, Server, TlsSettings};
use crate::telemetry::{self, LogFilter, LogFormat, LogQueue};

/// Run the gRPC server
///
/// Services: waywiser.v1.PathService, my_package.DisplacementService (computeDisplacement, computePathLength),
/// routeguide.RouteGuide (the four methods of the RouteGuide tutorial), waywiser.admin.v1.AdminService (backups),
/// grpc.health.v1.Health, and server reflection.
///
/// Recordings (paths with a name) are stored on disk. They survive a restart, even after the process was killed.
/// Only one process at a time can use a data directory. Several servers share the recordings in a PostgreSQL database
/// (--store).
///
/// When the server accepts connections, it prints one line on standard output: "listening on ADDRESS". The log goes
/// to standard error, one line per call.
///
/// Other machines reach the server if --listen names an address of the network. It needs TLS (--tls-cert) and
/// authentication (--tokens, --jwks or --tls-client-ca) then. --insecure allows an address of the network without them,
/// for a trusted network or for a proxy that terminates TLS.
///
/// Every option is a setting: of the command line, of the environment (WAYWISER_ and the name in capitals), or of the
/// file of --config (TOML, with the names of the options as keys). This is also their precedence.
///
/// SIGINT or SIGTERM starts a drain: health checks return NOT_SERVING, new connections and streams are
/// refused, and connections without streams are closed. Open streams may continue for the drain timeout and then end
/// with UNAVAILABLE. A second SIGINT or SIGTERM ends the process at once. At exit, the server logs the number of
/// commits, transactions and disk syncs, and the duration of commits.
///
/// SIGHUP reads the log filter in the file of --config, certificates, tokens and key sets again; the log names them at
/// the start. A server that has none of them drains. During a drain, SIGHUP has no effect.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// File with settings, in TOML
    ///
    /// The keys are the names of the options. An option or a variable of the environment has precedence.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print all settings and their sources as TOML, and exit
    #[arg(long)]
    print_config: bool,

    /// Address and port to listen on; port 0 selects a free port
    ///
    /// A service manager may pass a listener instead (socket activation); this option has no effect then.
    #[arg(long, value_name = "HOST:PORT", value_parser = address, default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Worker threads; 0 means one per CPU core
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = threads)]
    threads: usize,

    /// Format of log lines
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    log_format: Format,

    /// Log levels in the syntax of RUST_LOG, such as debug or waywiser=trace,h2=info
    ///
    /// WAYWISER_LOG_FILTER has precedence over RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log_filter: String,

    #[command(flatten)]
    http: HttpArgs,

    #[command(flatten)]
    admin: AdminArgs,

    #[command(flatten)]
    traces: TraceArgs,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    auth: AuthArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    quotas: QuotaArgs,

    #[command(flatten)]
    features: FeatureArgs,
}

const EXAMPLES: &str = "\
Examples:
  waywiser serve
  waywiser serve --listen 0.0.0.0:50051 --insecure --log-format json
  waywiser serve --listen 0.0.0.0:50051 --tls-cert server.pem --tls-key server.key --tokens tokens.toml
  waywiser serve --store postgres://waywiser@db.example.org/waywiser --store-password-file password
  waywiser serve --stream-idle-timeout 1h --drain-timeout 30s
  waywiser serve --config /etc/waywiser/waywiser.toml --print-config
  grpcurl -plaintext -d '{\"end\": {\"x\": 3, \"y\": 4}}' 127.0.0.1:50051 \\
      my_package.DisplacementService/computeDisplacement

Exit status: 0 after a drain, 1 if the server could not run, 2 for a usage
error, and after a second signal 130 (SIGINT) or 143 (SIGTERM).";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Aligned text
    Text,
    /// One JSON object per line
    Json,
}

fn threads(text: &str) -> Result<usize, String> {
    const THREADS_MAX: usize = 1024;
    match text.parse() {
        Ok(threads) if threads <= THREADS_MAX => Ok(threads),
        _ => Err(format!("must be a whole number from 0 to {THREADS_MAX}")),
    }
}

/// Number of task polls after which a busy thread checks sockets and timers; the default of tokio is 61. A poll of a
/// stream with long legs takes up to a millisecond, and a new request waits for this many polls.
const EVENT_INTERVAL: u32 = 4;

impl ServeArgs {
    /// Returns the addresses that clients reach, and the settings that they come from.
    fn addresses(&self) -> impl Iterator<Item = (SocketAddr, &'static str)> {
        let http = self.http.address().map(|address| (address, "http"));
        std::iter::once((self.listen, "listen")).chain(http)
    }

    /// Returns the configuration of the server. It is not checked yet.
    fn config(&self) -> Config {
        let mut config = self.limits.config();
        self.quotas.apply(&mut config);
        config
    }
}

/// Checks the settings without reading the files that they name.
///
/// # Errors
/// If the error message cannot be written.
pub(super) fn check(args: &ServeArgs, settings: &Settings) -> io::Result<Outcome> {
    let config = args.config();
    if let Err(error) = config.check() {
        let origin = settings.origin(&limits::option(&error));
        return usage_error(format_args!("{}{origin}", limits::error_message(&error)));
    }
    if let Err(error) = telemetry::check_filter(&args.log_filter) {
        return usage_error(format_args!("{}", log_filter_error(args, settings, &error)));
    }
    if let Err(error) = args.traces.check() {
        return usage_error(format_args!("{error}{}", settings.origin("otlp-endpoint")));
    }
    if let Err(error) = args.auth.check() {
        return usage_error(format_args!("{error}{}", settings.origin("certificate-names")));
    }
    for (address, setting) in args.addresses() {
        if let Err(error) = args.auth.check_exposure(address, &args.tls) {
            return usage_error(format_args!("{error}{}", settings.origin(setting)));
        }
    }
    Ok(Outcome::Done)
}

/// Returns the message about a log filter that is not valid.
fn log_filter_error(args: &ServeArgs, settings: &Settings, error: &str) -> String {
    let (filter, origin) = (&args.log_filter, settings.origin("log-filter"));
    format!("the log filter {filter:?} (--log-filter or RUST_LOG) is invalid: {error}{origin}")
}

/// Checks the files that the settings name. Prints the warnings that the server would log at its start.
///
/// # Errors
/// If the error message cannot be written.
pub(super) fn check_files(args: &ServeArgs) -> io::Result<Outcome> {
    match load_files(args) {
        Ok((tls, access, store)) => {
            // The settings are valid, so these return no error.
            let exposure = args.addresses().filter_map(|(address, _)| {
                args.auth.check_exposure(address, &args.tls).unwrap_or_default()
            });
            let traces = args.traces.check().unwrap_or_default();
            let warnings = tls.iter().flat_map(TlsSettings::warnings).chain(exposure);
            let warnings = warnings.chain(args.auth.warnings(&args.tls, access.as_ref()));
            let warnings = warnings.chain(quotas::warnings(&args.config(), access.as_ref()));
            for warning in warnings.chain(args.admin.warning()).chain(traces).chain(store) {
                stderr::print(format_args!("warning: {}", escape_control(&warning)));
            }
            Ok(Outcome::Done)
        }
        Err(error) => fail(format_args!("{error}")),
    }
}

/// The files that the settings name: the certificates, the authenticator, and warnings about the store.
type Files = (Option<TlsSettings>, Option<Access>, Vec<String>);

/// Loads all files that the settings name.
fn load_files(args: &ServeArgs) -> Result<Files, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let tls = args.tls.load(args.auth.accepts_tokens()).map_err(|error| text(&error))?;
    let access = args.auth.load(&args.tls).map_err(|error| text(&error))?;
    args.features.read().map_err(|error| text(&error))?;
    Ok((tls, access, args.store.check()?))
}

/// Runs the server. Prints one line on standard output when connections are accepted.
///
/// # Errors
/// If the address of the listener cannot be read.
pub(super) fn run(args: &ServeArgs, settings: Settings) -> io::Result<Outcome> {
    if args.print_config {
        for warning in settings.warnings() {
            stderr::print(format_args!("warning: {warning}"));
        }
        io::stdout().write_all(settings.print().as_bytes())?;
        return Ok(Outcome::Done);
    }
    let checked = check(args, &settings)?;
    if checked != Outcome::Done {
        return Ok(checked);
    }
    let config = args.config();
    let format = match args.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    let (log, log_filter) = match telemetry::log_to_stderr(format, &args.log_filter) {
        Ok(log) => log,
        Err(error) => return fail(format_args!("{error}")),
    };
    let features = match args.features.read() {
        Ok(features) => features,
        Err(error) => return fail(format_args!("{error}")),
    };
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if args.threads > 0 {
        runtime.worker_threads(args.threads);
    }
    // Without this, a thread with a busy connection would check sockets and timers rarely.
    runtime.event_interval(EVENT_INTERVAL);
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start threads: {error}")),
    };
    let access = match args.auth.load(&args.tls) {
        Ok(access) => access.map(Arc::new),
        Err(error) => return fail(format_args!("{error}")),
    };
    let tls = match args.tls.load(args.auth.accepts_tokens()) {
        Ok(tls) => tls,
        Err(error) => return fail(format_args!("{error}")),
    };
    // The listener is opened before the store: a server that cannot listen creates no directory.
    let listener = match runtime.block_on(main_listener(args.listen)) {
        Ok(listener) => listener,
        Err(error) => return fail(format_args!("{error}")),
    };
    let http_listener = match runtime.block_on(args.http.bind()) {
        Ok(listener) => listener,
        Err(error) => return fail(format_args!("{error}")),
    };
    // The service manager may have passed a listener with another address.
    for address in std::iter::once(listener.local_addr()?).chain(args.http.address()) {
        match args.auth.check_exposure(address, &args.tls) {
            Ok(warning) => warning.into_iter().for_each(|warning| tracing::warn!("{warning}")),
            Err(error) => return usage_error(format_args!("{error}")),
        }
    }
    tracing::info!(credentials = args.auth.describe(&args.tls), "authentication");
    let warnings = args.auth.warnings(&args.tls, access.as_deref()).into_iter();
    for warning in warnings.chain(quotas::warnings(&config, access.as_deref())) {
        tracing::warn!("{warning}");
    }
    let admin = match args.admin.start(&runtime) {
        Ok(admin) => admin,
        Err(error) => return fail(format_args!("{error}")),
    };
    let traces = match args.traces.start(&runtime) {
        Ok(traces) => traces,
        Err(error) => return usage_error(format_args!("{error}")),
    };
    let opened = match args.store.open(&runtime) {
        Ok(store) => store,
        Err(error) => return fail(format_args!("{error}")),
    };
    let (mut reloads, mut status) = (Reloads::default(), ReloadStatus::default());
    if settings.file().is_some() {
        let is_successful = Arc::new(AtomicBool::new(true));
        let result = Arc::clone(&is_successful);
        reloads.add("log filter", move || {
            let reloaded = reload_log_filter(&settings, &log_filter);
            result.store(reloaded.is_ok(), Relaxed);
            reloaded
        });
        status.add("log_filter", move || is_successful.load(Relaxed));
    }
    let mut server = Server::new(config, Arc::clone(&opened.store)).with_features(features);
    let availability = {
        let _context = runtime.enter();
        opened.logged.availability()
    };
    if let Some(available) = availability {
        server = server.with_store_availability(available);
    }
    server = traces.observe(admin.observe(&opened.logged, server), &admin);
    if let Some(tls) = tls {
        admin.observe_tls(&tls);
        let handle = tls.clone();
        status.add("certificates", move || handle.is_last_reload_successful());
        let handle = tls.clone();
        reloads.add("certificates", move || {
            handle.reload().map(|_| ()).map_err(|error| error.to_string())
        });
        server = server.with_tls(tls);
    }
    if let Some(access) = access {
        runtime.spawn(Arc::clone(&access).maintain());
        let handle = Arc::clone(&access);
        reloads.add("tokens and keys", move || handle.reload().map_err(|error| error.to_string()));
        let handle = Arc::clone(&access);
        status.add("tokens", move || !handle.counts().tokens.is_failing);
        let handle = Arc::clone(&access);
        status.add("keys", move || !handle.counts().keys.is_failing);
        admin.add(auth::metrics(Arc::clone(&access)));
        server = server.with_authenticator(access);
    }
    admin.add(status);
    server = args.http.serve(http_listener, server, &admin);
    let outcome = runtime.block_on(serve(listener, server, reloads, log.queue()));
    traces.stop();
    runtime.block_on(admin.stop());
    // Handlers that still run have no receiver for their results.
    runtime.shutdown_background();
    opened.logged.log();
    outcome
}

/// Reads the settings again and applies the log filter. The other settings need a restart.
fn reload_log_filter(settings: &Settings, filter: &LogFilter) -> Result<(), String> {
    let Parsed { matches, settings: new } = settings.reread()?;
    let (Some(flags), Some(new)) = (matches.subcommand_matches("serve"), new) else {
        return Err("the settings are not those of a server".to_owned());
    };
    let args = ServeArgs::from_arg_matches(flags).map_err(|error| error.to_string())?;
    if let Err(error) = args.config().check() {
        let origin = new.origin(&limits::option(&error));
        return Err(format!("{}{origin}", limits::error_message(&error)));
    }
    filter.set(&args.log_filter).map_err(|error| log_filter_error(&args, &new, &error))?;
    let mut changes = settings.changes(&new);
    changes.retain(|&name| name != "log-filter");
    if !changes.is_empty() {
        tracing::warn!(
            settings = changes.join(", "),
            "these settings have changed, which needs a restart"
        );
    }
    Ok(())
}

async fn serve(
    listener: TcpListener,
    server: Server,
    reloads: Reloads,
    log: LogQueue,
) -> io::Result<Outcome> {
    // Signals are registered before the line is printed, because its reader may send a signal at once.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("signals cannot be received: {error}")),
    };
    let mut stdout = io::stdout();
    // Standard output may be closed; the server runs without it.
    let _ = writeln!(stdout, "listening on {}", listener.local_addr()?);
    let _ = stdout.flush();
    match &reloads.names()[..] {
        [] => tracing::info!("SIGHUP starts a drain, because there is nothing to reload"),
        names => tracing::info!(parts = names.join(", "), "SIGHUP reloads"),
    }
    service_manager::ready();
    service_manager::start_watchdog();
    match server.run(listener, signals.stop(reloads, log)).await {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => fail(format_args!("the server stopped: {error}")),
    }
}
