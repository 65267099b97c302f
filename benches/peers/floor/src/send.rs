//! The client: encodes the walk of the benchmarks once, sends it repeatedly, and checks the reply.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use waywiser::internals::{Polyline};
use waywiser::{Metric, Point};

use crate::{Outcome, inputs};

/// The number of encoded points (1.6 MB). A longer stream repeats them.
const WALK_POINTS: usize = 100_000;

/// Sends `points` points to a `floor serve`.
///
/// # Errors
/// Returns an error if the reply is not bit-identical to the result of this process.
pub fn run(to: &str, points: usize) -> Outcome<String> {
    let walk = inputs::walk(WALK_POINTS);
    let round = inputs::body(&walk);
    let (rounds, rest) = (points / WALK_POINTS, points % WALK_POINTS);
    let rest_body = inputs::body(&walk[..rest]);

    let mut socket = TcpStream::connect(to)?;
    for _ in 0..rounds {
        socket.write_all(&round)?;
    }
    socket.write_all(&rest_body)?;
    socket.shutdown(Shutdown::Write)?;
    let mut reply = String::new();
    socket.read_to_string(&mut reply)?;
    let reply = reply.trim_end();

    let field = |name: &str| {
        let mut fields = reply.split(' ').filter_map(|field| field.split_once('='));
        fields.find(|field| field.0 == name).map(|field| field.1.to_owned())
    };
    let expected_bytes = rounds * round.len() + rest_body.len();
    let mut expected = vec![("bytes", expected_bytes.to_string())];
    let mode = field("mode").ok_or_else(|| format!("the server replied: {reply}"))?;
    if mode != "discard" {
        expected.push(("points", points.to_string()));
    }
    if mode == "decode" {
        let checksum = |walk: &[(i32, i32)]| -> i64 {
            walk.iter().map(|&(first, second)| i64::from(first) + i64::from(second)).sum()
        };
        let sum = rounds as i64 * checksum(&walk) + checksum(&walk[..rest]);
        expected.push(("checksum", sum.to_string()));
    }
    for metric in [Metric::Planar, Metric::Haversine] {
        if mode == metric.to_string() {
            expected.push(("length", length(metric, &walk, rounds, rest)?.to_string()));
        }
    }
    for (name, expected) in expected {
        if field(name).as_deref() != Some(&*expected) {
            return Err(format!("the server replied {reply}, not {name}={expected}").into());
        }
    }
    Ok(reply.to_owned())
}

/// Returns the length of `rounds` walks and `rest` further points, by merging paths. It is bit-identical to the length
/// of one fold.
fn length(metric: Metric, walk: &[(i32, i32)], rounds: usize, rest: usize) -> Outcome<f64> {
    let fold = |walk: &[(i32, i32)]| -> Outcome<Polyline> {
        let mut path = Polyline::new(metric);
        for &(first, second) in walk {
            path.extend(&[match metric {
                Metric::Planar => Point::planar(first.into(), second.into())?,
                _ => Point::from_e7(first, second)?,
            }])?;
        }
        Ok(path)
    };
    let round = fold(walk)?;
    let mut path = Polyline::new(metric);
    for _ in 0..rounds {
        path.merge(&round)?;
    }
    path.merge(&fold(&walk[..rest])?)?;
    Ok(path.summary().length)
}
