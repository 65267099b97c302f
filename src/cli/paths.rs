//! `waywiser paths`: lists, shows and deletes the recordings of a server.

use std::io::{self, Write};

use clap::{ArgGroup, Args, Subcommand};

use super::connect::ConnectArgs;
use super::recording_row::{self, state};
use super::report::{Names, Report, escape_control, pluralize};
use super::{Outcome, fail, notes, stderr};
use crate::client::{Client, ClientError};
use crate::recording::RecordingName;

/// List, show and delete the recordings of a server
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct PathsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(ListArgs),
    Show(ShowArgs),
    Delete(DeleteArgs),
}

/// List recordings, ordered by name
#[derive(Debug, Args)]
struct ListArgs {
    /// List only recordings whose names start with this text, such as paths/trip-; paths/ may be left out
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    #[command(flatten)]
    output: OutputArgs,
}

/// Show one recording
#[derive(Debug, Args)]
struct ShowArgs {
    /// Name of the recording, such as paths/morning-walk
    name: RecordingName,

    #[command(flatten)]
    output: OutputArgs,
}

/// Delete recordings; a client that writes one of them receives an error at its next commit
///
/// An error about one recording is reported, and the others are still deleted.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
struct DeleteArgs {
    /// Names of the recordings, such as paths/morning-walk
    #[arg(group = "which")]
    names: Vec<RecordingName>,

    /// Delete all recordings whose names start with this text, such as paths/trip-; paths/ may be left out; needs --yes
    #[arg(long, value_name = "PREFIX", group = "which")]
    prefix: Option<String>,

    /// Confirm that all recordings with the prefix are deleted
    #[arg(long, requires = "prefix")]
    yes: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// The options that all these commands share.
#[derive(Clone, Debug, Args)]
struct OutputArgs {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

const EXAMPLES: &str = "\
Examples:
  waywiser paths list --prefix paths/trip-
  waywiser paths show paths/morning-walk --json
  waywiser paths delete --server https://paths.example.org paths/morning-walk paths/evening-walk
  waywiser paths delete --prefix paths/test- --yes

Exit status: 0 for success, 1 for a failure, 2 for a usage error.";

/// Runs `waywiser paths`.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn run(args: &PathsArgs) -> io::Result<Outcome> {
    let connect = match &args.action {
        Action::List(args) => &args.output.connect,
        Action::Show(args) => &args.output.connect,
        Action::Delete(args) => &args.output.connect,
    };
    block_on(connect, async |client| match &args.action {
        Action::List(args) => list(&client, args).await,
        Action::Show(args) => show(&client, args).await,
        Action::Delete(args) => delete(&client, args).await,
    })
}

/// The outer error is one of the server, the inner one is one of standard output.
type Done = Result<io::Result<Outcome>, ClientError>;

/// Connects and runs a command.
fn block_on(
    connect: &ConnectArgs,
    command: impl AsyncFnOnce(Client) -> Done,
) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start the runtime: {error}")),
    };
    let builder = match connect.client(connect.server_or_default()) {
        Ok(builder) => builder,
        Err(error) => return fail(format_args!("{error}")),
    };
    match runtime.block_on(async { command(builder.connect().await?).await }) {
        Ok(written) => written,
        Err(error) => fail(format_args!("{}", connect.explain(&error))),
    }
}

/// Returns the full prefix of names. The part before the identifier may be left out.
fn full_prefix(prefix: &str) -> String {
    match prefix.contains('/') {
        true => prefix.to_owned(),
        false => format!("paths/{prefix}"),
    }
}

async fn list(client: &Client, args: &ListArgs) -> Done {
    let mut out = io::stdout();
    let (json, names) = (args.output.json, Names::on(&out));
    let prefix = args.prefix.as_deref().map(full_prefix).unwrap_or_default();
    let (mut page_token, mut is_headed) = (None, json);
    loop {
        let page = client.list_paths(&prefix, page_token).await?;
        let mut written = Ok(());
        if !std::mem::replace(&mut is_headed, true) {
            written = recording_row::write_header(&mut out);
        }
        let mut rows = page.paths.iter();
        let rows = |()| rows.try_for_each(|path| recording_row::write(&mut out, path, json, names));
        if let Err(error) = written.and_then(rows) {
            return Ok(Err(error));
        }
        page_token = page.next_page_token;
        if page_token.is_none() {
            return Ok(Ok(Outcome::Done));
        }
    }
}

async fn show(client: &Client, args: &ShowArgs) -> Done {
    let path = client.get_path(&args.name).await?;
    let mut out = io::stdout();
    let names = Names::on(&out);
    let written = match &path.summary {
        Some(summary) if !args.output.json => {
            let written = Report::recording(out, state(&path), &path, summary, names);
            for note in notes::of_recording(&path.name, summary) {
                stderr::print(format_args!("note: {}", escape_control(&note)));
            }
            written
        }
        _ => recording_row::write(&mut out, &path, args.output.json, names),
    };
    Ok(written.map(|()| Outcome::Done))
}

/// Deletes recordings and reports each failure.
async fn delete(client: &Client, args: &DeleteArgs) -> Done {
    let mut deletion = Deletion { out: io::stdout(), args, deleted: 0, failed: 0 };
    match &args.prefix {
        Some(prefix) => deletion.all_with(client, &full_prefix(prefix)).await,
        None => {
            for (index, name) in args.names.iter().enumerate() {
                match deletion.one(client, name).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Ok(Err(error)),
                    Err(error) => {
                        let left = args.names.len() - index;
                        if left > 1 {
                            let names = pluralize(left as u64, "recording");
                            stderr::print(format_args!("note: {names} may not be deleted"));
                        }
                        return Err(error);
                    }
                }
            }
            Ok(Ok(deletion.outcome()))
        }
    }
}

/// The deletions so far.
struct Deletion<'a, W> {
    out: W,
    args: &'a DeleteArgs,
    deleted: u64,
    failed: u64,
}

impl<W: Write> Deletion<'_, W> {
    /// Deletes one recording. Reports a refusal. Returns the error if the connection fails, because the next deletion
    /// would fail too.
    async fn one(
        &mut self,
        client: &Client,
        name: &RecordingName,
    ) -> Result<io::Result<()>, ClientError> {
        let json = self.args.output.json;
        match client.delete_path(name).await {
            Ok(()) => {
                self.deleted += 1;
                let deleted = serde_json::json!({ "name": name.to_string(), "deleted": true });
                Ok(if json { writeln!(self.out, "{deleted}") } else { Ok(()) })
            }
            Err(ClientError::Status(status))
                if ClientError::from(status.clone()).transport_failure().is_none() =>
            {
                self.failed += 1;
                let text = self.args.output.connect.explain(&ClientError::Status(status));
                stderr::print(format_args!("error: {name}: {}", escape_control(&text)));
                let failed = serde_json::json!({ "name": name.to_string(), "deleted": false, "error": text });
                Ok(if json { writeln!(self.out, "{failed}") } else { Ok(()) })
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes all recordings with a prefix, or only counts them if that is not confirmed.
    async fn all_with(&mut self, client: &Client, prefix: &str) -> Done {
        let (mut page_token, mut count) = (None, 0);
        loop {
            let page = client.list_paths(prefix, page_token).await?;
            count += page.paths.len() as u64;
            for path in page.paths.iter().filter(|_| self.args.yes) {
                let name = path.name.parse::<RecordingName>();
                let name = name.map_err(|error| ClientError::reply(error.to_string()))?;
                if let Err(error) = self.one(client, &name).await? {
                    return Ok(Err(error));
                }
            }
            page_token = page.next_page_token;
            if page_token.is_none() {
                break;
            }
        }
        let names = format!("{} with the prefix {prefix}", pluralize(count, "recording"));
        if !self.args.yes && count > 0 {
            return Ok(fail(format_args!("there {} {names}; --yes deletes them", are(count))));
        }
        if !self.args.output.json {
            let deleted = pluralize(self.deleted, "recording");
            let written = writeln!(self.out, "deleted {deleted} with the prefix {prefix}");
            if let Err(error) = written {
                return Ok(Err(error));
            }
        }
        Ok(Ok(self.outcome()))
    }

    fn outcome(&self) -> Outcome {
        if self.failed == 0 { Outcome::Done } else { Outcome::Failed }
    }
}

fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: PathsArgs,
    }

    fn parse(line: &str) -> Result<PathsArgs, String> {
        let words = ["paths"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn recordings_are_deleted_by_name_or_by_prefix() {
        assert!(parse("delete paths/a paths/b").is_ok());
        assert!(parse("delete --prefix paths/a --yes").is_ok());
        assert!(parse("delete --prefix paths/a").is_ok());
        for bad in ["delete", "delete --yes", "delete paths/a --prefix paths/b", "delete nonsense"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(full_prefix("trip-"), "paths/trip-");
        assert_eq!(full_prefix("paths/trip-"), "paths/trip-");
        assert_eq!(full_prefix("namespaces/a/paths/"), "namespaces/a/paths/");
        assert!(parse("show namespaces/-/paths/a").is_ok());
    }
}
