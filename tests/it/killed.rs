//! `waywiser record --name` with a server in another process: killed and run again, and with files that it refuses.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use futures::StreamExt as _;
use waywiser::client::Client;

use crate::program::{run_async, waywiser};
use crate::proxy::{Fault, Proxy};
use crate::serve_process::Serve;

/// Starts `waywiser serve` with its data in this directory.
fn serve(data: &Path) -> Serve {
    let data = data.to_str().unwrap();
    let mut serve = waywiser(&["serve", "--data-dir", data, "--listen", "127.0.0.1:0"]);
    Serve::spawn(serve.stderr(Stdio::null())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_killed_resumes_when_it_is_run_again() {
    let data = tempfile::tempdir().unwrap();
    let serve = serve(data.path());
    // The proxy forwards part of the track, and then nothing more.
    let proxy = Proxy::start(serve.address, vec![Fault::Stall(20_000)]).await;
    let file = "examples/hill-walk.gpx";
    let policy = ["--min-step", "1.5", "--max-speed", "12", "--elevation", "3d"];
    let record = |address: SocketAddr| {
        let record = ["record", "--json", "--name", "paths/hill", "--server"].map(str::to_owned);
        let rest = policy.iter().chain([&file]).map(|&word| word.to_owned());
        record.into_iter().chain([format!("http://{address}")]).chain(rest).collect::<Vec<_>>()
    };
    let words = record(proxy.address);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut killed = waywiser(&words);
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let client = Client::connect(&format!("http://{}", serve.address)).await.unwrap();
    let name = "paths/hill".parse().unwrap();
    let mut watch = Box::pin(client.watch_path(&name, true).await.unwrap());
    let committed_points = loop {
        let update = watch.next().await.unwrap().unwrap();
        if update.committed_points > 0 {
            break update.committed_points;
        }
    };
    // SIGKILL.
    killed.kill().unwrap();
    assert!(!killed.wait().unwrap().success());
    let stored = client.get_path(&name).await.unwrap();
    assert!(!stored.is_complete && (committed_points..9_448).contains(&stored.committed_points));

    let words = record(serve.address);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (code, recorded, errors) = run_async(&words).await;
    assert_eq!((code, &*errors), (Some(0), ""));
    let measure = [&["measure", "--json"], &policy[..], &[file]].concat();
    let (_, measured, _) = run_async(&measure).await;
    let track = measured.lines().next().unwrap();
    assert_eq!(recorded.trim_end(), track.replace("\"Hill walk\"", "\"paths/hill\""));
    let stored = client.get_path(&name).await.unwrap();
    assert!(stored.is_complete && stored.committed_points == 9_448);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_broken_or_has_several_tracks_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let serve = serve(&folder.path().join("data"));
    let url = format!("http://{}", serve.address);
    let point = "<trkpt lat='1' lon='1'/><trkpt lat='1' lon='2'/>";
    let named = format!("<trk><name>There</name><trkseg>{point}</trkseg></trk>");
    let nameless = format!("<trk><trkseg>{point}{point}</trkseg></trk>");
    let record = async |content: String, more: &[&str]| {
        let file = folder.path().join("tracks.gpx");
        std::fs::write(&file, format!("<gpx>{content}</gpx>")).unwrap();
        let record = ["record", "--server", &url, "--name", "paths/a"];
        let (code, out, errors) =
            run_async(&[&record, more, &[file.to_str().unwrap()]].concat()).await;
        let errors = errors.replace(&format!("{}/", folder.path().display()), "");
        (code, out, errors)
    };
    let (code, out, errors) = record(format!("{named}{nameless}"), &[]).await;
    assert_eq!((code, &*out), (Some(1), ""));
    insta::assert_snapshot!(
        errors.trim_end(),
        @"error: tracks.gpx: the file has 2 tracks, and a recording has one; choose a track with --track 1 (There, 2 points), --track 2 (4 points)"
    );
    let (_, _, errors) = record(named.repeat(12), &[]).await;
    assert!(errors.ends_with("--track 10 (There, 2 points), or one of 2 more\n"), "{errors}");
    let broken = named.clone() + "<trk><trkseg></trk>";
    // An error is reported for any choice of a track.
    for more in [&[][..], &["--track", "1"], &["--track", "2"]] {
        let (code, _, errors) = record(broken.clone(), more).await;
        assert_eq!(code, Some(1));
        assert!(errors.contains("expected `</trkseg>`, but `</trk>` was found"), "{errors}");
    }
    let (code, _, errors) = record(named.clone(), &["--track", "2"]).await;
    assert_eq!(
        (code, &*errors),
        (Some(1), "error: tracks.gpx: there is no track 2; the file has 1 track\n")
    );

    let client = Client::connect(&url).await.unwrap();
    assert_eq!(client.list_paths("", None).await.unwrap().paths, []);
    let (code, out, errors) = record(format!("{named}{nameless}"), &["--track", "2"]).await;
    assert_eq!((code, &*errors), (Some(0), ""));
    assert!(out.contains("all points, unfiltered                           4"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_a_pipe_are_durable_while_the_pipe_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let serve = serve(&folder.path().join("data"));
    let url = format!("http://{}", serve.address);
    let mut record = waywiser(&["record", "--server", &url, "--name", "paths/pipe", "-"]);
    let record = record.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut record = record.spawn().unwrap();
    let mut pipe = record.stdin.take().unwrap();
    pipe.write_all(b"lat,lon\n1,1\n1,2\n1,3\n").unwrap();
    let client = Client::connect(&url).await.unwrap();
    let name = "paths/pipe".parse().unwrap();
    let mut watch = Box::pin(client.watch_path(&name, true).await.unwrap());
    let mut committed = async |points: u64| {
        while watch.next().await.unwrap().unwrap().committed_points < points {}
    };
    committed(3).await;
    pipe.write_all(b"1,4\n").unwrap();
    committed(4).await;
    drop(pipe);
    assert!(record.wait().unwrap().success());
    assert!(client.get_path(&name).await.unwrap().is_complete);
}
