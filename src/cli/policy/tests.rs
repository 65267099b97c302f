//! Tests of the options of the command line.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Wrapper {
    #[command(flatten)]
    args: PolicyArgs,
}

fn parsed(arguments: &str) -> Result<Options, String> {
    let words = ["x"].into_iter().chain(arguments.split_whitespace());
    let wrapper = Wrapper::try_parse_from(words).map_err(|error| error.to_string())?;
    let given = wrapper.args.given(Metric::Geodesic).map_err(|error| error.to_string())?;
    Ok(wrapper.args.fill(given).all)
}

#[test]
fn every_option_has_an_argument() {
    assert_eq!(parsed(""), Ok(Options::default()));
    let all = "--elevation 3d --max-gap-time 1m30s --max-gap 500 --max-speed 60 --reanchor-count 5 \
               --min-step 2.5 --max-accuracy 30 --reject-backward-time --stopped-speed 0.7 \
               --estimate --min-stop-time 2min --reject-zero-position --reorder 9 --reorder-time 5s --drop-duplicates \
               --min-climb 3 --climb-smoothing 0s";
    let expected = Options::builder(Metric::Geodesic)
        .elevation(Elevation::ThreeDimensional)
        .max_gap_time_ns(90_000_000_000_u64)
        .max_gap(500.0)
        .max_speed(60.0)
        .reanchor_count(5)
        .min_step(2.5)
        .max_accuracy_m(30.0)
        .reject_backward_time(true)
        .stopped_speed(0.7)
        .estimate(EstimateOptions { min_stop_ns: 120_000_000_000, max_trips: 0 })
        .reject_zero_position(true)
        .reorder(Reorder { count: 9, time_ns: Some(5_000_000_000) })
        .drop_duplicates(true)
        .climb(ClimbOptions { threshold: 3.0, smoothing_ns: 0 })
        .build();
    assert_eq!(parsed(all), expected.map_err(|error| error.to_string()));
    let reorder = parsed("--reorder-time 5s").unwrap().reorder().unwrap();
    assert_eq!((reorder.count, reorder.time_ns), (256, Some(5_000_000_000)));
}

#[test]
fn a_preset_fills_in_what_is_not_given() {
    let walk = parsed("--preset walk").unwrap();
    assert_eq!((walk.max_speed(), walk.max_accuracy_m()), (Some(6.0), Some(50.0)));
    assert_eq!(walk.estimate(), Some(EstimateOptions::default()));
    assert!(walk.reject_zero_position());
    let run = parsed("--preset run --max-speed 9 --stopped-speed 0.2").unwrap();
    assert_eq!((run.max_speed(), run.stopped_speed()), (Some(9.0), Some(0.2)));
    // The default of a path is not the value of the preset.
    assert_eq!(parsed("--preset car").unwrap().stopped_speed(), Some(1.0));
    let car = parsed("--preset car --stopped-speed 0.3").unwrap();
    assert_eq!(car.stopped_speed(), Some(0.3));
    assert_eq!(parsed("--preset phone").unwrap().reorder().unwrap().count, 32);
    assert!(parsed("--preset swim").is_err());
    // The phone drops duplicates, in the buffer that is given or in its own.
    for (arguments, count) in [("", 32), (" --drop-duplicates", 32), (" --reorder 7", 7)] {
        let phone = parsed(&format!("--preset phone{arguments}")).unwrap();
        assert!(phone.drop_duplicates());
        assert_eq!(phone.reorder().unwrap().count, count);
    }
    assert!(!parsed("--preset car --reorder 7").unwrap().drop_duplicates());
    for arguments in ["--drop-duplicates", "--preset car --drop-duplicates"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                parsed(arguments).unwrap_err(),
                @"--drop-duplicates compares the points in a buffer; add --reorder, --reorder-time or --preset phone"
            );
        }
    }
}

#[test]
fn options_for_geographic_paths_are_refused_for_planar_ones() {
    for (arguments, flag) in [
        ("--preset walk", "--preset"),
        ("--estimate", "--estimate"),
        ("--min-stop-time 2min", "--min-stop-time"),
    ] {
        let words = ["x"].into_iter().chain(arguments.split_whitespace());
        let error = Wrapper::parse_from(words).args.given(Metric::Planar).unwrap_err();
        let text = format!("{flag} is for geographic paths; it cannot be used with --model planar");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn an_error_of_a_range_names_its_ends() {
    for (arguments, expected) in [
        ("--reorder 0", "must be a whole number from 1 to 256"),
        ("--reorder 4294967297", "must be a whole number from 1 to 256"),
        ("--reanchor-count x", "must be a whole number from 1 to 16"),
        ("--min-climb 0", "must be above 0 and at most 1 099 511 627 776"),
        ("--climb-smoothing 1h", "must be at most 10min"),
    ] {
        let error = parsed(arguments).unwrap_err();
        assert!(error.contains(expected), "{arguments}: {error}");
    }
}

#[test]
fn the_first_set_argument_is_found() {
    let first_set = |arguments: &str| {
        let arguments = ["x"].into_iter().chain(arguments.split_whitespace());
        Wrapper::parse_from(arguments).args.first_set()
    };
    assert_eq!(first_set("--elevation ignored"), None);
    for argument in [
        "--elevation 3d",
        "--max-gap-time 1s",
        "--max-gap 1",
        "--max-speed 1",
        "--reanchor-count 1",
        "--min-step 1",
        "--max-accuracy 1",
        "--reject-backward-time",
        "--reject-zero-position",
        "--reorder 1",
        "--reorder-time 1s",
        "--reorder 9 --drop-duplicates",
        "--stopped-speed 1",
        "--min-climb 1",
        "--climb-smoothing 0s",
        "--preset walk",
        "--estimate",
        "--min-stop-time 1s",
    ] {
        assert_eq!(first_set(argument), argument.split(' ').next(), "{argument}");
    }
}

#[test]
fn a_preset_and_the_estimate_need_no_details() {
    let needs_details = |arguments: &str| {
        let arguments = ["x"].into_iter().chain(arguments.split_whitespace());
        Wrapper::parse_from(arguments).args.needs_details()
    };
    assert!(!needs_details(""));
    assert!(!needs_details("--preset walk --estimate"));
    assert!(needs_details("--preset walk --max-speed 9"));
    assert!(needs_details("--estimate --min-climb 9"));
}

#[test]
fn values_out_of_range_are_refused() {
    for bad in [
        "--min-step 0",
        "--min-step -1",
        "--max-speed NaN",
        "--max-gap inf",
        "--max-gap 5km",
        "--max-gap-time 0s",
        "--max-gap-time 30",
        "--max-gap-time 600years",
        "--reanchor-count 0",
        "--reanchor-count 17",
        "--reorder 0",
        "--reorder 257",
        "--reorder-time 0s",
        "--min-climb 0",
        "--climb-smoothing 11min",
        "--min-stop-time 10ms",
    ] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
}
