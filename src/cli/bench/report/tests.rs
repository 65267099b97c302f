//! Tests of the report of a bench.

use super::*;

fn around(median: f64) -> Spread {
    Spread { median, min: median / 2.0, max: median * 1.5 }
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn report() -> Report {
    let times = [100, 200, 300, 4000].map(Duration::from_micros);
    let server = |name: &str, cpu| Server {
        server: name.to_owned(),
        call: "record-route".to_owned(),
        bytes_per_stream: 16_000_000,
        shares_process: false,
        points_per_s: around(12_345_678.0),
        mb_per_s: around(197.5),
        client_cpu_ns_per_point: Some(around(10.0)),
        server_cpu_ns_per_point: cpu,
        reply_latency: Quantiles::of(&times),
        memory_peak_bytes: Some(12 << 20),
    };
    Report {
        method: "record-route".to_owned(),
        streams: 4,
        connections: 2,
        points_per_stream: 1_000_000,
        bytes_per_stream: 16_000_000,
        chunk_bytes: 65_536,
        client_threads: 1,
        warm_up_rounds: 1,
        rounds: 5,
        ceiling_points_per_s: Some(around(80_000_000.0)),
        servers: vec![
            server("http://127.0.0.1:50051", Some(around(23.0))),
            server("http://127.0.0.1:50052", None),
        ],
        second_to_first: Some(Ratios {
            points_per_s: Some(around(0.1)),
            server_cpu_per_point: None,
        }),
    }
}

#[test]
fn figures_are_aligned_and_have_units() {
    insta::assert_snapshot!(text(|out| report().text(out)), @r"
    record-route: 4 streams of 1 000 000 points (16.0 MB) on 2 connections, chunks of 65 536 bytes
    5 rounds after 1 of warm-up, 1 client thread
    ceiling of the load generator: 80 000 000 points/s (40 000 000 to 120 000 000)

    http://127.0.0.1:50051
                                            median           least        greatest
      server CPU, ns per point                23.0            11.5            34.5
      client CPU, ns per point                10.0             5.0            15.0
      points/s                          12 345 678       6 172 839      18 518 517
      MB/s                                   197.5            98.8           296.2
      peak memory, MiB                        12.0
      last point to reply, µs              p50 200       p99 4 002       max 4 002

    http://127.0.0.1:50052
                                            median           least        greatest
      server CPU, ns per point             unknown
      client CPU, ns per point                10.0             5.0            15.0
      points/s                          12 345 678       6 172 839      18 518 517
      MB/s                                   197.5            98.8           296.2
      peak memory, MiB                        12.0
      last point to reply, µs              p50 200       p99 4 002       max 4 002

    http://127.0.0.1:50052 / http://127.0.0.1:50051
                                            median           least        greatest
      points/s                               0.100          0.0500           0.150
      server CPU per point                 unknown
    ");
}

#[test]
fn calls_are_printed_per_server_where_they_differ() {
    let mut report = report();
    let second = &mut report.servers[1];
    second.server = "http://127.0.0.1:50051".to_owned();
    second.call = "record-path, columns of 4 096 points, geodesic".to_owned();
    second.bytes_per_stream = 4_000_000;
    let text = text(|out| report.text(out));
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("  ")).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    4 streams of 1 000 000 points on 2 connections, chunks of 65 536 bytes
    5 rounds after 1 of warm-up, 1 client thread
    ceiling of the load generator: 80 000 000 points/s (40 000 000 to 120 000 000)

    http://127.0.0.1:50051
    record-route (16.0 MB)

    http://127.0.0.1:50051
    record-path, columns of 4 096 points, geodesic (4.0 MB)

    record-path, columns of 4 096 points, geodesic / record-route
    ");
    report.servers[1].server = "http://127.0.0.1:50052".to_owned();
    let text = self::text(|out| report.text(out));
    let ratio = text.lines().find(|line| line.contains(" / ")).unwrap();
    insta::assert_snapshot!(ratio, @"record-path, columns of 4 096 points, geodesic (http://127.0.0.1:50052) / record-route (http://127.0.0.1:50051)");
}

#[test]
fn a_report_in_json_is_one_line() {
    let mut report = report();
    report.servers.truncate(1);
    report.second_to_first = None;
    insta::assert_snapshot!(text(|out| report.json(out)), @r#"{"method":"record-route","streams":4,"connections":2,"points_per_stream":1000000,"bytes_per_stream":16000000,"chunk_bytes":65536,"client_threads":1,"warm_up_rounds":1,"rounds":5,"ceiling_points_per_s":{"median":80000000.0,"min":40000000.0,"max":120000000.0},"servers":[{"server":"http://127.0.0.1:50051","call":"record-route","bytes_per_stream":16000000,"shares_process":false,"points_per_s":{"median":12345678.0,"min":6172839.0,"max":18518517.0},"mb_per_s":{"median":197.5,"min":98.75,"max":296.25},"client_cpu_ns_per_point":{"median":10.0,"min":5.0,"max":15.0},"server_cpu_ns_per_point":{"median":23.0,"min":11.5,"max":34.5},"reply_latency":{"p50_us":200.063,"p90_us":4001.791,"p99_us":4001.791,"p999_us":4001.791,"max_us":4001.791},"memory_peak_bytes":12582912}]}"#);
}

#[test]
fn live_streams_have_a_report() {
    let report = LiveReport {
        method: "record-route".to_owned(),
        call: "record-route".to_owned(),
        server: "a server in this process".to_owned(),
        shares_process: true,
        streams: 10_000,
        connections: 100,
        interval_s: 1.0,
        duration_s: 60.0,
        points: 599_940,
        answered_streams: 9_999,
        failed_streams: 1,
        failures: vec!["stream 7: the server replied before the end of the stream".to_owned()],
        server_cores: Some(0.0512),
        client_cores: None,
        server_cores_per_10000_streams: Some(0.0512),
        client_cores_per_10000_streams: None,
        memory_bytes_per_stream: Some(5_120.4),
        memory_bytes_before: Some(10 << 20),
        memory_bytes_live: Some(60 << 20),
        reply_latency: Quantiles::of_histogram(&Times::default()),
        send_lateness: Quantiles::of_histogram(&Times::from_iter([Duration::from_millis(2)])),
    };
    insta::assert_snapshot!(text(|out| report.text(out)), @r"
    record-route: 10 000 live streams on 100 connections, one point every 1 s for 60 s

    a server in this process
      points sent                          599 940
      streams answered                       9 999
      streams failed                             1
      server CPU, % of a core                 5.12
        scaled to 10 000 streams              5.12
      client CPU, % of a core              unknown
      memory, bytes per stream               5 120
      memory before, MiB                      10.0
      memory live, MiB                        60.0
      end to reply, µs                     unknown
      sent late by, µs                   p50 2 001       p99 2 001       max 2 001
      Client and server share this process: CPU is separate per side, memory is the sum.
      stream 7: the server replied before the end of the stream
    ");
}

#[test]
fn calls_at_a_fixed_rate_have_a_report() {
    let times: Times = (1..=1000).map(Duration::from_micros).collect();
    let report = PacedReport {
        method: "record-path".to_owned(),
        call: "record-path, columns of 4 096 points, geodesic".to_owned(),
        server: "http://127.0.0.1:50051".to_owned(),
        shares_process: false,
        connections: 4,
        calls: 6_000,
        points_per_call: 100,
        target_calls_per_s: 100.0,
        duration_s: 60.0,
        answered_calls: 5_999,
        failed_calls: 1,
        failures: vec!["call 7: the server did not reply in time".to_owned()],
        calls_per_s: 99.97,
        server_cores: Some(0.123),
        client_cores: None,
        server_cpu_ns_per_point: Some(12_345.6),
        latency: Quantiles::of_histogram(&times),
        start_lateness: None,
    };
    insta::assert_snapshot!(text(|out| report.text(out)), @r"
    record-path, columns of 4 096 points, geodesic
    6 000 calls of 100 points on 4 connections, 100 calls/s for 60 s

    http://127.0.0.1:50051
      server CPU, % of a core                12.30
      client CPU, % of a core              unknown
      server CPU, ns per point            12 345.6
      calls answered                         5 999
      calls failed                               1
      answered, calls/s                      100.0

                                          time, µs  late start, µs
      p50                                      500         unknown
      p90                                      900         unknown
      p99                                      990         unknown
      p99.9                                    999         unknown
      max                                    1 000         unknown
      call 7: the server did not reply in time
    ");
}

#[test]
fn a_ratio_has_three_significant_digits() {
    let texts = [0.0012345, 0.98765, 1.5, 12.345, 1234.5].map(significant);
    assert_eq!(texts, ["0.00123", "0.988", "1.50", "12.3", "1234"]);
    assert_eq!(significant(f64::INFINITY), "inf");
}
