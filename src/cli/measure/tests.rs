//! Tests of the output of `waywiser measure`.

use std::io::{self, Write};

use clap::Parser;

use super::*;

mod plots;
mod windows;

#[derive(Parser)]
pub(super) struct Wrapper {
    #[command(flatten)]
    pub(super) args: MeasureArgs,
}

/// The outcome and the output of a run.
struct Run {
    outcome: Outcome,
    out: String,
    messages: String,
}

fn measure_locally(
    args: &MeasureArgs,
    stdin: &str,
    out: impl Write,
    messages: &mut dyn Write,
) -> io::Result<Outcome> {
    let inputs = input::expand(&args.files);
    let stdin = Stdin::new(io::Cursor::new(stdin.to_owned()));
    let options = args.options().unwrap();
    let plot = args.output.plot.as_deref();
    let plot = plot.map(|path| PlotFile::create(path).unwrap().with_units(args.output.units));
    let page = args.output.report.as_deref();
    let report = args.report_options(options.all);
    let page = page.map(|path| ReportFile::create(path, report, &inputs).unwrap());
    let out = (out, messages, plot, page);
    local::measure(args, options, &inputs, stdin, out, Arc::new(Progress::hidden()))
}

fn run_with(files: &[(&str, &str)], arguments: &str, stdin: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let mut args = Wrapper::parse_from(["measure"].into_iter().chain(arguments.split(' '))).args;
    for file in &mut args.files {
        if file.as_os_str() != "-" {
            *file = folder.path().join(&*file);
        }
    }
    let (mut out, mut messages) = (vec![], vec![]);
    let outcome = measure_locally(&args, stdin, &mut out, &mut messages).unwrap();
    let shown = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace(&format!("{}/", folder.path().display()), "")
    };
    Run { outcome, out: shown(out), messages: shown(messages) }
}

const GPX: &str = r#"<gpx><trk><name>There</name>
<trkseg><trkpt lat="46" lon="13"/><trkpt lat="46.01" lon="13"/></trkseg>
<trkseg><trkpt lat="47" lon="13"/><trkpt lat="47.01" lon="13"/></trkseg></trk>
<rte><rtept lat="0" lon="0"/><rtept lat="0" lon="180"/></rte></gpx>"#;

#[test]
fn text_is_one_aligned_line_per_track_and_a_total() {
    let run = run_with(&[], "-", GPX);
    assert_eq!(run.outcome, Outcome::Done);
    insta::assert_snapshot!(run.out, @r"
    file   track                                    points segments           length
    -      There                                         4        2      2 223.224 m
    -      2 (route)                                     2        1 20 003 931.459 m
    total  2 tracks                                      6        3 20 006 154.682 m
    ");
    assert_eq!(run.messages, "");
}

/// Fiji and Samoa. In JSON and in CSV, west is 178.4 and east is -172.1.
#[test]
fn a_box_across_the_antimeridian_has_the_larger_longitude_in_the_west() {
    const GPX: &str = r#"<gpx><trk><trkseg><trkpt lat="-18.1" lon="178.4"/><trkpt lat="-13.8" lon="-172.1"/></trkseg></trk></gpx>"#;
    let json = run_with(&[], "- --json", GPX).out;
    assert!(json.contains(r#""bbox":[178.4,-18.1,-172.1,-13.8]"#), "{json}");
    let csv = run_with(&[], "- --csv", GPX).out;
    assert!(csv.contains(",178.4,-18.1,-172.1,-13.8,"), "{csv}");
}

#[test]
fn json_is_one_object_per_track_and_a_total() {
    let run = run_with(&[], "- --json", GPX);
    insta::assert_snapshot!(run.out, @r#"
    {"file":"-","track":"There","points":4,"segments":2,"length_m":2223.223552166184,"displacement_m":112272.79189415753,"model":"geodesic","bbox":[13.0,46.0,13.0,47.01],"accepted":4,"raw_length_m":2223.223552166184,"rejections":[],"kind":"track","incomplete":false,"notes":[],"gap_length_m":0.0,"track_index":0}
    {"file":"-","track":"2","points":2,"segments":1,"length_m":20003931.458625447,"displacement_m":20003931.458625447,"model":"geodesic","bbox":[-180.0,0.0,180.0,90.0],"accepted":2,"raw_length_m":20003931.458625447,"rejections":[],"kind":"route","incomplete":false,"notes":[],"gap_length_m":0.0,"track_index":1}
    {"total":{"files":1,"failed_files":0,"tracks":2,"points":6,"segments":3,"length_m":20006154.682177614,"model":"geodesic","accepted":6,"raw_length_m":20006154.682177614,"rejections":[],"notes":[],"more_notes":0,"gap_length_m":0.0}}
    "#);
    let run = run_with(&[], "- --json --model planar", "x,y\n0,0\n3,4\n");
    insta::assert_snapshot!(run.out, @r#"
    {"file":"-","track":"1","points":2,"segments":1,"length":5.0,"displacement":5.0,"model":"planar","bbox":[0.0,0.0,3.0,4.0],"accepted":2,"raw_length":5.0,"rejections":[],"kind":"track","incomplete":false,"notes":[],"gap_length":0.0,"track_index":0}
    {"total":{"files":1,"failed_files":0,"tracks":1,"points":2,"segments":1,"length":5.0,"model":"planar","accepted":2,"raw_length":5.0,"rejections":[],"notes":[],"more_notes":0,"gap_length":0.0}}
    "#);
}

#[test]
fn csv_is_one_row_per_track_and_a_total() {
    let run = run_with(&[], "- --csv --model haversine", GPX);
    insta::assert_snapshot!(run.out, @r"
    kind,file,track,points,segments,length_m,displacement_m,model,west_deg,south_deg,east_deg,north_deg,accepted,raw_length_m,length_3d_m,elapsed_s,moving_s,max_speed_mps,ascent_m,descent_m,backward_time_count,backward_time_first_offset,backward_time_rejected_length_m,accuracy_count,accuracy_first_offset,accuracy_rejected_length_m,speed_count,speed_first_offset,speed_rejected_length_m,step_count,step_first_offset,step_rejected_length_m,invalid_position_count,invalid_position_first_offset,invalid_position_rejected_length_m,start_time,end_time,device_length_m,incomplete,notes,late_count,late_first_offset,late_rejected_length_m,zero_position_count,zero_position_first_offset,zero_position_rejected_length_m,duplicate_count,duplicate_first_offset,duplicate_rejected_length_m,gap_length_m,raw_ascent_m,raw_descent_m,estimated_length_m,estimated_length_low_m,estimated_length_high_m,stop_count,trip_count,stopped_s
    track,-,There,4,2,2223.9016046706583,112307.03103586826,haversine,13,46,13,47.01,4,2223.9016046706583,,,,,,,0,,0,0,,0,0,,0,0,,0,0,,0,,,,false,0,0,,0,0,,0,0,,0,0,,,,,,,,
    route,-,2,2,1,20015114.442035925,20015114.442035925,haversine,-180,0,180,90,2,20015114.442035925,,,,,,,0,,0,0,,0,0,,0,0,,0,0,,0,,,,false,0,0,,0,0,,0,0,,0,0,,,,,,,,
    total,,,6,3,20017338.343640596,,haversine,,,,,6,20017338.343640596,,,,,,,0,,0,0,,0,0,,0,0,,0,0,,0,,,,,0,0,,0,0,,0,0,,0,0,,,,,,,,
    ");
}

#[test]
fn the_elapsed_time_is_that_from_start_to_end_of_the_points_that_filters_keep() {
    let times = |arguments: &str, rows: &str| {
        let table = format!("lat,lon,time,accuracy\n{rows}");
        let arguments = format!("- --json {arguments}");
        let out = run_with(&[], arguments.trim_end(), &table).out;
        let track: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        let time = |name: &str| {
            let text = track[name].as_str()?;
            Some(humantime::parse_rfc3339(text).unwrap())
        };
        let span = time("start_time").zip(time("end_time"));
        let span = span.map(|(start, end)| end.duration_since(start).unwrap().as_secs_f64());
        (track["elapsed_s"].as_f64(), span, track["moving_s"].as_f64())
    };
    let at =
        |lat: f64, s: u32, accuracy: u32| format!("{lat},0,2020-01-01T00:00:{s:02}Z,{accuracy}\n");
    let none = "1,0,,\n2,0,,\n";
    assert_eq!(times("", none), (None, None, None));
    assert_eq!(times("", &(at(1.0, 7, 5) + none)), (Some(0.0), Some(0.0), None));
    assert_eq!(times("", &(at(1.0, 7, 5) + &at(1.1, 7, 5))), (Some(0.0), Some(0.0), None));
    let walk =
        [at(1.0, 9, 50), at(1.1, 4, 5), at(1.2, 8, 5), "91,0,2020-01-01T00:00:59Z,5\n".into()];
    let walk = walk.concat();
    let (elapsed, span, moving) = times("", &walk);
    assert_eq!((elapsed, span), (Some(5.0), Some(5.0)), "without an order of time");
    assert!(moving <= elapsed);
    assert_eq!(times("--min-step 1000000", &walk).0, Some(5.0));
    let (elapsed, span, _) = times("--max-accuracy 20", &walk);
    assert_eq!((elapsed, span), (Some(4.0), Some(5.0)), "the first point is rejected");
    assert_eq!(times("--max-accuracy 1", &walk), (None, Some(5.0), None));
}

#[test]
fn mixed_rows_are_measured_by_track() {
    let table = "who,x,y\nb,0,0\na,0,0\nb,0,1\na,5,0\nb,0,3\n";
    let run = run_with(&[], "--model planar --track-column who -", table);
    insta::assert_snapshot!(run.out, @r"
    file   track                                    points segments           length
    -      b                                             3        1         3.000000
    -      a                                             2        1         5.000000
    total  2 tracks                                      5        2         8.000000
    ");
}

#[test]
fn a_broken_file_is_reported_and_the_others_are_measured() {
    let good = "lat,lon\n0,0\n0,1\n";
    let half = r#"<gpx><rte><rtept lat="0" lon="0"/></rte><trk><trkseg>
        <trkpt lat="91" lon="0"/><trkpt lat="1" lon="0"/></trk"#;
    let files = [("a.csv", good), ("half.gpx", half), ("nan.csv", "lat;lon\n1;NaN"), ("empty", "")];
    let run = run_with(&files, "--json a.csv half.gpx nan.csv empty missing - -", good);
    assert_eq!(run.outcome, Outcome::Failed);
    insta::assert_snapshot!(run.messages, @r"
    note: half.gpx:2:9: track 2: 1 point without a valid position is skipped: latitude 91 is not between -90 and 90 degrees
    error: half.gpx:2:58: not well-formed XML: tag not closed: `>` not found before end of input; is the file incomplete?
    note: nan.csv:2:1: track 1: 1 point without a valid position is skipped: longitude NaN is not a finite number
    error: nan.csv: no point of the file (1) has a valid position; the first one: longitude NaN is not a finite number
    error: empty: the file is empty
    error: missing: cannot be read: there is no such file
    error: -: cannot be read: standard input can be read only once; name - once
    ");
    insta::assert_snapshot!(run.out, @r#"
    {"file":"a.csv","track":"1","points":2,"segments":1,"length_m":111319.49079327357,"displacement_m":111319.49079327357,"model":"geodesic","bbox":[0.0,0.0,1.0,0.0],"accepted":2,"raw_length_m":111319.49079327357,"rejections":[],"kind":"track","incomplete":false,"notes":[],"gap_length_m":0.0,"track_index":0}
    {"file":"half.gpx","track":"1","points":1,"segments":1,"length_m":0.0,"displacement_m":0.0,"model":"geodesic","bbox":[0.0,0.0,0.0,0.0],"accepted":1,"raw_length_m":0.0,"rejections":[],"kind":"route","incomplete":false,"notes":[],"gap_length_m":0.0,"track_index":0}
    {"file":"half.gpx","track":"2","points":2,"segments":1,"length_m":0.0,"displacement_m":0.0,"model":"geodesic","bbox":[0.0,1.0,0.0,1.0],"accepted":1,"raw_length_m":0.0,"rejections":[{"reason":"invalid_position","count":1,"first_offset":0,"rejected_length_m":0.0}],"kind":"track","incomplete":true,"notes":[{"kind":"invalid_position","message":"1 point without a valid position is skipped: latitude 91 is not between -90 and 90 degrees","count":1,"line":2,"column":9}],"gap_length_m":0.0,"track_index":1}
    {"file":"nan.csv","track":"1","points":1,"segments":0,"length_m":0.0,"displacement_m":0.0,"model":"geodesic","bbox":null,"accepted":0,"raw_length_m":0.0,"rejections":[{"reason":"invalid_position","count":1,"first_offset":0,"rejected_length_m":0.0}],"kind":"track","incomplete":false,"notes":[{"kind":"invalid_position","message":"1 point without a valid position is skipped: longitude NaN is not a finite number","count":1,"line":2,"column":1}],"gap_length_m":0.0,"track_index":0}
    {"file":"-","track":"1","points":2,"segments":1,"length_m":111319.49079327357,"displacement_m":111319.49079327357,"model":"geodesic","bbox":[0.0,0.0,1.0,0.0],"accepted":2,"raw_length_m":111319.49079327357,"rejections":[],"kind":"track","incomplete":false,"notes":[],"gap_length_m":0.0,"track_index":0}
    {"total":{"files":7,"failed_files":5,"tracks":5,"points":8,"segments":4,"length_m":222638.98158654713,"model":"geodesic","accepted":6,"raw_length_m":222638.98158654713,"rejections":[{"reason":"invalid_position","count":2,"rejected_length_m":0.0}],"notes":[],"more_notes":0,"gap_length_m":0.0}}
    "#);
    let run = run_with(&files, "a.csv half.gpx", "");
    assert!(run.out.contains("3 tracks; 1 file"), "{}", run.out);
}

#[test]
fn the_total_is_the_exact_sum_and_no_leg_joins_two_tracks() {
    let tenth = "x,y\n0,0\n0,0.1\n";
    let run = run_with(&[("a", tenth)], "--json --model planar a a a a a a a a a a", "");
    assert!(
        run.out.contains(r#""tracks":10,"points":20,"segments":10,"length":1.0,"#),
        "{}",
        run.out
    );
}

#[test]
fn a_closed_output_ends_the_run() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let args = Wrapper::parse_from(["measure", "-"]).args;
    let mut messages = vec![];
    let outcome = measure_locally(&args, GPX, Closed, &mut messages);
    assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(messages.is_empty());
}

#[test]
fn a_message_comes_after_the_rows_before_it() {
    /// Standard output and standard error, both in one file.
    #[derive(Clone, Default)]
    struct Shared(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let file = Shared::default();
    let args = Wrapper::parse_from(["measure", "examples/legs.csv", "nowhere.gpx"]).args;
    let (out, mut messages) = (BufWriter::new(file.clone()), file.clone());
    measure_locally(&args, "", out, &mut messages).unwrap();
    let text = String::from_utf8(file.0.take()).unwrap();
    let starts: Vec<_> = text.lines().map(|line| line.split([' ', ':']).next().unwrap()).collect();
    assert_eq!(starts, ["file", "examples/legs.csv", "error", "total"]);
}

/// A walk at 1 m/s with an outlier, a stop and some elevations.
const WALK: &str = "x,y,z,t_s\n0,0,5,0\n1,0,,1\n900,0,,2\n3,0,9,3\n3,0,9,4\n4,0,7,5\n";

#[test]
fn the_effect_of_filters_is_printed() {
    let arguments = "--model planar --time-column t_s --max-speed 10 --min-step 0.5 --elevation 3d \
                     --stopped-speed 0.1 -";
    let run = run_with(&[], arguments, WALK);
    insta::assert_snapshot!(run.out, @r"
    file   track                                    points segments           length
    -      1                                             4        1         4.000000
        all points, unfiltered                           6              1 798.000000
        - too fast, first at 2                           1              1 794.000000
        - too near, first at 4                           1                  0.000000
        = accepted points                                4                  4.000000
        in three dimensions                                                 5.236068
        from first to last                                                  4.000000
        ascent (mean of 45s, climbs from 3)                                 0.000000
        descent                                                             0.000000
        raw ascent                                                          0.000000
        raw descent                                                         2.000000
        elapsed time                                                              5s
        moving time, at least 0.1/s                                               5s
        highest speed over 5 s                                            0.800000/s
        start                                                   1970-01-01T00:00:00Z
        end                                                     1970-01-01T00:00:05Z
    total  1 track                                       4        1         4.000000
        all points, unfiltered                           6              1 798.000000
        - too fast                                       1              1 794.000000
        - too near                                       1                  0.000000
        = accepted points                                4                  4.000000
        in three dimensions                                                 5.236068
        ascent (mean of 45s, climbs from 3 or more)                         0.000000
        descent                                                             0.000000
        raw ascent                                                          0.000000
        raw descent                                                         2.000000
        moving time, at least 0.1/s                                               5s
        highest speed over 5 s                                            0.800000/s
    ");
    let note =
        "note: -: track 1: 2 of 6 points have no elevation: --elevation had no effect on them\n";
    assert_eq!(run.messages, note);
    let run = run_with(&[], &format!("{arguments} --json"), WALK);
    insta::assert_snapshot!(run.out, @r#"
    {"file":"-","track":"1","points":6,"segments":1,"length":4.0,"displacement":4.0,"model":"planar","bbox":[0.0,0.0,4.0,0.0],"accepted":4,"raw_length":1798.0,"length_3d":5.23606797749979,"elapsed_s":5.0,"moving_s":5.0,"max_speed":0.8,"ascent":0.0,"descent":0.0,"rejections":[{"reason":"speed","count":1,"first_offset":2,"rejected_length":1794.0},{"reason":"step","count":1,"first_offset":4,"rejected_length":0.0}],"kind":"track","start_time":"1970-01-01T00:00:00Z","end_time":"1970-01-01T00:00:05Z","incomplete":false,"notes":[{"kind":"unused_option","message":"2 of 6 points have no elevation: --elevation had no effect on them","count":2}],"gap_length":0.0,"raw_ascent":0.0,"raw_descent":2.0,"ascent_method":{"smoothing_s":45.0,"threshold":3.0},"track_index":0}
    {"total":{"files":1,"failed_files":0,"tracks":1,"points":6,"segments":1,"length":4.0,"model":"planar","accepted":4,"raw_length":1798.0,"length_3d":5.23606797749979,"moving_s":5.0,"max_speed":0.8,"ascent":0.0,"descent":0.0,"rejections":[{"reason":"speed","count":1,"rejected_length":1794.0},{"reason":"step","count":1,"rejected_length":0.0}],"notes":[],"more_notes":0,"gap_length":0.0,"raw_ascent":0.0,"raw_descent":2.0,"ascent_method":{"smoothing_s":45.0,"threshold":3.0}}}
    "#);
    let run = run_with(&[], &format!("{arguments} --csv"), WALK);
    insta::assert_snapshot!(run.out, @r"
    kind,file,track,points,segments,length,displacement,model,min_x,min_y,max_x,max_y,accepted,raw_length,length_3d,elapsed_s,moving_s,max_speed,ascent,descent,backward_time_count,backward_time_first_offset,backward_time_rejected_length,accuracy_count,accuracy_first_offset,accuracy_rejected_length,speed_count,speed_first_offset,speed_rejected_length,step_count,step_first_offset,step_rejected_length,invalid_position_count,invalid_position_first_offset,invalid_position_rejected_length,start_time,end_time,device_length_m,incomplete,notes,late_count,late_first_offset,late_rejected_length,zero_position_count,zero_position_first_offset,zero_position_rejected_length,duplicate_count,duplicate_first_offset,duplicate_rejected_length,gap_length,raw_ascent,raw_descent
    track,-,1,6,1,4,4,planar,0,0,4,0,4,1798,5.23606797749979,5,5,0.8,0,0,0,,0,0,,0,1,2,1794,1,4,0,0,,0,1970-01-01T00:00:00Z,1970-01-01T00:00:05Z,,false,1,0,,0,0,,0,0,,0,0,0,2
    total,,,6,1,4,,planar,,,,,4,1798,5.23606797749979,,5,0.8,0,0,0,,0,0,,0,1,,1794,1,,0,0,,0,,,,,0,0,,0,0,,0,0,,0,0,0,2
    ");
}

#[test]
fn details_can_be_printed_without_a_filter() {
    let file = "<gpx><trk><trkseg><trkpt lat='0' lon='0'><ele>1</ele><time>2024-05-18T09:12:40Z</time></trkpt>
        <trkpt lat='0' lon='0.00001'><ele>2</ele><time>2024-05-18T10:12:41.5Z</time></trkpt></trkseg></trk></gpx>";
    let run = run_with(&[], "--details -", file);
    insta::assert_snapshot!(run.out, @r"
    file   track                                    points segments           length
    -      1                                             2        1          1.113 m
        all points, unfiltered                           2                   1.113 m
        from first to last                                                   1.113 m
        ascent (mean of 45s, climbs from 3 m)                                0.000 m
        descent                                                              0.000 m
        raw ascent                                                           1.000 m
        raw descent                                                          0.000 m
        elapsed time                                                     1h 1s 500ms
        moving time, at least 0.3 m/s                                             0s
        highest speed over 5 s                                             0.000 m/s
        start                                                   2024-05-18T09:12:40Z
        end                                                     2024-05-18T10:12:41Z
    total  1 track                                       2        1          1.113 m
        all points, unfiltered                           2                   1.113 m
        ascent (mean of 45s, climbs from 3 m or more)                        0.000 m
        descent                                                              0.000 m
        raw ascent                                                           1.000 m
        raw descent                                                          0.000 m
        moving time, at least 0.3 m/s                                             0s
        highest speed over 5 s                                             0.000 m/s
    ");
    let run = run_with(&[], "-", file);
    insta::assert_snapshot!(run.out, @r"
    file   track                                    points segments           length
    -      1                                             2        1          1.113 m
    total  1 track                                       2        1          1.113 m
    ");
}

/// The file does not exist, so an error of another status would be about it.
#[test]
fn options_that_planar_paths_do_not_have_are_a_usage_error() {
    for option in ["--estimate", "--preset walk", "--trips", "--min-stop-time 2min"] {
        for server in ["", " --server http://127.0.0.1:1"] {
            let arguments = format!("missing.csv --model planar {option}{server}");
            let words = ["measure"].into_iter().chain(arguments.split(' '));
            let args = Wrapper::parse_from(words).args;
            assert_eq!(run(args).unwrap(), Outcome::Misused, "{arguments}");
        }
    }
    let error = Wrapper::try_parse_from(["measure", "--jobs", "0", "f"]).err().unwrap();
    assert!(error.to_string().contains("must be a whole number from 1 to "), "{error}");
}
