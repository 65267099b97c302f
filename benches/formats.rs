//! Measures the readers of track files in MB/s and points/s, next to plain loops over the events of quick-xml and
//! the records of csv.
//!
//! Runs without the server and the client: `cargo bench --no-default-features --features formats --bench formats`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quick_xml::events::Event;
use waywiser::Fix;
use waywiser::formats::{self, ReadOptions, SinkError, TrackSink};

#[path = "inputs/walk.rs"]
mod walk;

const POINTS: usize = 200_000;

/// Writes the time of a point, one second after that of the point before.
fn write_time(text: &mut String, index: usize) {
    let (hour, minute, second) = (index / 3600 % 24, index / 60 % 60, index % 60);
    let day = 1 + index / 86_400;
    write!(text, "2024-05-{day:02}T{hour:02}:{minute:02}:{second:02}Z").unwrap();
}

/// Returns a track as devices write it: 7 digits of a degree, elevation and time.
fn gpx(walk: &[(i32, i32)], extensions: &str) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx version=\"1.1\" creator=\"bench\" \
                    xmlns=\"http://www.topografix.com/GPX/1/1\">\n <trk>\n  <name>Walk</name>\n  <trkseg>\n"
        .to_owned();
    for (index, (y, x)) in walk.iter().enumerate() {
        let (y, x) = (f64::from(*y) / 1e7, f64::from(*x) / 1e7);
        let z = 500.0 + (index % 997) as f64 / 10.0;
        write!(text, "   <trkpt lat=\"{y:.7}\" lon=\"{x:.7}\">\n    <ele>{z:.1}</ele>\n    <time>")
            .unwrap();
        write_time(&mut text, index);
        write!(text, "</time>\n{extensions}   </trkpt>\n").unwrap();
    }
    text + "  </trkseg>\n </trk>\n</gpx>\n"
}

fn csv(walk: &[(i32, i32)]) -> String {
    let mut text = "lat,lon,ele,time\n".to_owned();
    for (index, (y, x)) in walk.iter().enumerate() {
        let (y, x) = (f64::from(*y) / 1e7, f64::from(*x) / 1e7);
        let z = 500.0 + (index % 997) as f64 / 10.0;
        write!(text, "{y:.7},{x:.7},{z:.1},").unwrap();
        write_time(&mut text, index);
        text.push('\n');
    }
    text
}

/// Counts fixes, elevations and times.
#[derive(Default)]
struct Count {
    fixes: usize,
    z: usize,
    times: usize,
}

impl TrackSink for Count {
    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.fixes += 1;
        self.z += usize::from(fix.z().is_some());
        self.times += usize::from(fix.unix_ns().is_some());
        black_box(fix);
        Ok(())
    }
}

fn read(text: &str) {
    let mut count = Count::default();
    // A file is read through a buffer of this size.
    let input = std::io::BufReader::with_capacity(256 << 10, text.as_bytes());
    formats::read(input, &ReadOptions::default(), &mut count).unwrap();
    assert_eq!((count.fixes, count.z, count.times), (POINTS, POINTS, POINTS));
}

/// Counts the events of quick-xml from a slice, which is the way it is fastest.
fn quick_xml_events(text: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut count = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return count,
            event => {
                black_box(event);
                count += 1;
            }
        }
    }
}

fn csv_records(text: &str) -> usize {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut record = csv::ByteRecord::new();
    let mut count = 0;
    while reader.read_byte_record(&mut record).unwrap() {
        count += 1;
        black_box(&record);
    }
    count
}

fn readers(criterion: &mut Criterion) {
    let walk = walk::walk(POINTS);
    let extensions = "    <extensions>\n     <gpxtpx:TrackPointExtension>\n      <gpxtpx:hr>120</gpxtpx:hr>\n      \
                      <gpxtpx:cad>80</gpxtpx:cad>\n     </gpxtpx:TrackPointExtension>\n    </extensions>\n";
    for (name, text) in [
        ("gpx", gpx(&walk, "")),
        ("gpx with extensions", gpx(&walk, extensions)),
        ("csv", csv(&walk)),
    ] {
        for (unit, throughput) in [
            ("bytes", Throughput::Bytes(text.len() as u64)),
            ("points", Throughput::Elements(POINTS as u64)),
        ] {
            let mut group = criterion.benchmark_group(format!("{name}, {unit}"));
            group.throughput(throughput);
            group.sample_size(20);
            group.bench_function("waywiser", |bencher| bencher.iter(|| read(&text)));
            match name {
                "csv" => group.bench_function("csv records", |bencher| {
                    bencher.iter(|| assert_eq!(csv_records(&text), POINTS));
                }),
                _ => group.bench_function("quick-xml events", |bencher| {
                    bencher.iter(|| assert!(quick_xml_events(&text) > 8 * POINTS));
                }),
            };
            group.finish();
        }
    }
}

criterion_group!(benches, readers);
criterion_main!(benches);
