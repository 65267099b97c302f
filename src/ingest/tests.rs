//! Tests of all protocols: limits, names of devices, times, and any input.

use proptest::prelude::*;

use super::*;

mod forward;
mod osmand;
mod overland;
mod owntracks;
mod traccar;

/// The time of the server in the tests: 2024-05-20T12:00:00Z.
const NOW_S: i64 = 1_716_206_400;

fn request<'a>(query: &'a str, body: &'a str) -> Request<'a> {
    Request {
        query,
        body: body.as_bytes(),
        now_unix_ns: NOW_S * 1_000_000_000,
        ..Request::default()
    }
}

/// Returns which answer a request needs.
fn outcome(parsed: &Result<Batch, Rejection>) -> String {
    match parsed {
        Ok(Batch { bad_count: 0, .. }) => "Accept".to_owned(),
        Ok(Batch { bad_count, .. }) => format!("AcceptAndDrop {{ bad_count: {bad_count} }}"),
        Err(_) => "Reject".to_owned(),
    }
}

/// Returns the result as text: a line for each fix with device, latitude, longitude, seconds since 1970, accuracy and
/// elevation, then the events, the problems and the outcome.
fn shown(parsed: &Result<Batch, Rejection>) -> String {
    let outcome = outcome(parsed);
    let batch = match parsed {
        Ok(batch) => batch,
        Err(rejection) => return format!("{outcome}: {rejection}"),
    };
    let mut lines = Vec::new();
    for DeviceFix { device, fix } in &batch.fixes {
        let point = fix.point().unwrap();
        let seconds = (fix.unix_ns().unwrap() / 1_000_000) as f64 / 1e3;
        let device = device.as_deref().unwrap_or("-");
        let mut line = format!("{device}: {} {} at {seconds}", point.y(), point.x());
        if let Some(accuracy_m) = fix.accuracy_m() {
            line += &format!(" +-{accuracy_m}");
        }
        if let Some(z) = fix.z() {
            line += &format!(" z {z}");
        }
        lines.push(line);
    }
    lines.extend(batch.events.iter().map(|event| format!("{event:?}")));
    lines.extend(
        batch.problems.iter().map(|BadFix { index, problem }| format!("{index}: {problem}")),
    );
    lines.push(outcome);
    lines.join("\n")
}

fn parsed(protocol: Protocol, query: &str, body: &str) -> String {
    shown(&protocol.parse(&request(query, body)))
}

#[test]
fn devices_have_different_ids_that_can_be_read_back() {
    for (device, id) in [
        ("48241179", "48241179"),
        ("jane/phone", "jane~2Fphone"),
        ("a b", "a~20b"),
        ("A~", "A~7E"),
        ("ž", "~C5~BE"),
        ("\u{0}", "~00"),
        (".", "~2E"),
        ("..", "~2E."),
        (".a", ".a"),
    ] {
        assert_eq!(recording_id(device).as_deref(), Ok(id));
        assert_eq!(device_name(id).as_deref(), Some(device));
    }
    for id in ["", "~", "~2", "~2f", "~41", "~C5", "a/b", "..", "~2E~2E", "~zz"] {
        assert_eq!(device_name(id), None, "{id}");
    }
    assert!(recording_id(&"a".repeat(128)).is_ok() && recording_id(&" ".repeat(42)).is_ok());
    for device in ["", &"a".repeat(129), &" ".repeat(43), &"ž".repeat(100_000)] {
        assert_eq!(recording_id(device), Err(DeviceNameError));
    }
}

#[test]
fn a_device_that_no_recording_can_have_refuses_the_request() {
    let long = "x".repeat(129);
    for (protocol, query, body) in [
        (
            Protocol::OwnTracks,
            "",
            format!(r#"{{"_type":"location","lat":1,"lon":2,"tst":1716200000,"tid":"{long}"}}"#),
        ),
        (Protocol::OsmAnd, &*format!("id={long}&lat=1&lon=2&timestamp=1716200000"), String::new()),
        (Protocol::Traccar, "", format!(r#"{{"location":{{}},"device_id":"{long}"}}"#)),
        (
            Protocol::Overland,
            "",
            format!(r#"{{"locations":[{{"properties":{{"device_id":"{long}"}}}}]}}"#),
        ),
        (Protocol::Forward, "", format!(r#"{{"position":{{}},"device":{{"uniqueId":"{long}"}}}}"#)),
    ] {
        let result = protocol.parse(&request(query, &body));
        assert_eq!(result, Err(Rejection::Device(DeviceNameError)), "{protocol:?}");
    }
}

#[test]
fn a_time_is_in_seconds_or_milliseconds_or_a_text() {
    let time = |text: &str| {
        let query = format!("id=a&lat=1&lon=2&timestamp={text}");
        match Protocol::OsmAnd.parse(&request(&query, "")) {
            Ok(Batch { fixes, problems, .. }) => match fixes.first() {
                Some(DeviceFix { fix, .. }) => fix.unix_ns().unwrap().to_string(),
                None => format!("{:?}", problems[0].problem),
            },
            Err(error) => format!("{error:?}"),
        }
    };
    for (text, unix_ns) in [
        ("1716200000", "1716200000000000000"),
        ("1716200000123", "1716200000123000000"),
        ("1716200000.25", "1716200000250000000"),
        ("1716200000123.5", "1716200000123500000"),
        ("2024-05-20T10:13:20Z", "1716200000000000000"),
        ("2024-05-20T10:13:20.123456789Z", "1716200000123456789"),
        ("2024-05-20T12:13:20%2B02:00", "1716200000000000000"),
        ("2024-05-20T03:13:20-0700", "1716200000000000000"),
        ("2024-05-20T10:13:20", "1716200000000000000"),
        ("2024-05-20%2010:13:20", "1716200000000000000"),
        ("2024-05-20+10:13:20", "1716200000000000000"),
        // The limits.
        ("946684800", "946684800000000000"),
        ("946684799", "TooEarly"),
        ("1716210000", "1716210000000000000"),
        ("1716210001", "TooLate"),
        ("0", "TooEarly"),
        ("-1", "TooEarly"),
        ("1970-01-01T00:00:00Z", "TooEarly"),
        ("9999-01-01T00:00:00Z", "TooLate"),
        ("99999999999", "TooLate"),
        ("9223372036854775807", "TooLate"),
        ("-9223372036854775808", "TooEarly"),
        ("1e13", "TooLate"),
        ("1e17", "Fix(Time)"),
        ("1e300", "Fix(Time)"),
        ("NaN", "Fix(Time)"),
        ("now", "Fix(Time)"),
        ("2024-13-20T10:13:20Z", "Fix(Time)"),
        ("2024-02-30+10:13:20", "Fix(Time)"),
        ("10:13:20", "Fix(Time)"),
        ("", "Fix(Missing(\"time\"))"),
    ] {
        assert_eq!(time(text), unix_ns, "{text}");
    }
    assert_eq!(time(&"1".repeat(1000)), "Fix(Time)");
}

#[test]
fn a_request_that_is_too_large_is_refused() {
    for protocol in Protocol::ALL {
        let body = " ".repeat(BODY_BYTES_MAX + 1);
        let too_large = protocol.parse(&request("", &body));
        assert_eq!(too_large, Err(Rejection::TooLarge { what: "body", max: BODY_BYTES_MAX }));
        let query = "&".repeat(QUERY_BYTES_MAX + 1);
        let too_large = protocol.parse(&request(&query, ""));
        assert!(matches!(too_large, Err(Rejection::TooLarge { what: "query string", .. })));
    }
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let deep = "[".repeat(100_000);
    let deep_value = format!(r#"{{"a":{deep}"#);
    for protocol in Protocol::ALL {
        for body in ["{", "{\"a\":1,}", "{\"location\":nul}", "{\"_type\":\"\u{1}\"}", &deep_value]
        {
            let result = protocol.parse(&request("", body));
            assert!(matches!(result, Err(Rejection::Body(_))), "{protocol:?} {result:?}");
        }
        let request = Request { body: b"{\"_type\":\"\xff\"}", ..request("", "") };
        assert!(matches!(protocol.parse(&request), Err(Rejection::Body(_))), "{protocol:?}");
    }
    for protocol in [Protocol::OwnTracks, Protocol::Traccar, Protocol::Overland, Protocol::Forward]
    {
        for body in ["[]", "3", "null", "\"text\"", "{}", "{\"other\":{\"lat\":1}}"] {
            let result = protocol.parse(&request("", body));
            assert!(matches!(result, Err(Rejection::OtherProtocol(_))), "{protocol:?} {result:?}");
        }
    }
}

#[test]
fn the_error_of_a_body_is_short() {
    let body = format!(r#"{{"{}": 1 x"#, "y".repeat(10_000));
    let Err(Rejection::Body(text)) = Protocol::Traccar.parse(&request("", &body)) else { panic!() };
    assert!(text.chars().count() <= 64, "{text}");
}

/// Generates values of JSON, many of which have the names that the protocols use.
fn json() -> impl Strategy<Value = String> {
    let names = vec![
        "_type",
        "lat",
        "lon",
        "tst",
        "acc",
        "alt",
        "vac",
        "t",
        "tid",
        "topic",
        "location",
        "coords",
        "timestamp",
        "latitude",
        "longitude",
        "accuracy",
        "device_id",
        "locations",
        "geometry",
        "coordinates",
        "properties",
        "action",
        "position",
        "device",
        "uniqueId",
        "fixTime",
        "valid",
    ];
    let values = vec![
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1716200000",
        "1716200000123",
        "46.5",
        "-0.0",
        "1e308",
        "1e999",
        "18446744073709551615",
        "91",
        "181",
        "\"NaN\"",
        "\"46.5\"",
        "\"location\"",
        "\"p\"",
        "\"2024-05-20T10:13:20Z\"",
        "\"\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "\"..\"",
        "\"a/b/c\"",
    ];
    let leaf = prop::sample::select(values).prop_map(str::to_owned);
    leaf.prop_recursive(5, 60, 8, move |inner| {
        let name = prop::sample::select(names.clone());
        let member = (name, inner.clone()).prop_map(|(name, value)| (name, value));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::btree_map(prop::sample::select(names.clone()), member, 0..12)
                .prop_map(|members| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(name, (_, value))| format!("\"{name}\":{value}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
        ]
    })
}

fn check(result: &Result<Batch, Rejection>, size: usize) {
    let Ok(batch) = result else { return };
    assert!(batch.problems.len() <= PROBLEMS_MAX && batch.problems.len() <= batch.bad_count);
    // Each fix and each event has bytes of its own.
    let count = batch.fixes.len() + batch.events.len() + batch.bad_count;
    assert!(count <= FIXES_MAX && count <= size + 1, "{count}");
    for DeviceFix { device, fix } in &batch.fixes {
        let point = fix.point().unwrap();
        assert!(point.y().abs() <= 90.0 && point.x().abs() <= 180.0);
        assert!(fix.unix_ns().unwrap() >= TIME_MIN_UNIX_S * 1_000_000_000);
        assert!(fix.accuracy_m().is_none_or(|accuracy_m| accuracy_m > 0.0));
        assert!(device.as_deref().is_none_or(|device| recording_id(device).is_ok()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_have_a_result(
        query in ".{0,80}",
        body in prop::collection::vec(any::<u8>(), 0..200),
        now_unix_ns: i64,
    ) {
        for protocol in Protocol::ALL {
            let request = Request { query: &query, body: &body, now_unix_ns, ..Request::default() };
            check(&protocol.parse(&request), body.len() + query.len());
        }
    }

    #[test]
    fn any_number_as_a_time_has_a_result(bits: u64, now_unix_ns: i64) {
        let value = f64::from_bits(bits);
        for text in [format!("{value:e}"), value.to_string(), (bits as i64).to_string()] {
            let query = format!("id=a&lat=1&lon=2&timestamp={text}");
            let request = Request { query: &query, now_unix_ns, ..Request::default() };
            check(&Protocol::OsmAnd.parse(&request), query.len());
            let body = format!(r#"{{"_type":"location","lat":1,"lon":2,"tst":{text}}}"#);
            let request = Request { body: body.as_bytes(), now_unix_ns, ..Request::default() };
            check(&Protocol::OwnTracks.parse(&request), body.len());
        }
    }

    #[test]
    fn any_json_has_a_result(body in json()) {
        for protocol in Protocol::ALL {
            check(&protocol.parse(&request("", &body)), body.len());
            for wrapper in ["location", "position", "locations"] {
                let body = format!(r#"{{"{wrapper}":{body}}}"#);
                check(&protocol.parse(&request("", &body)), body.len());
            }
        }
    }

    #[test]
    fn any_parameters_have_a_result(
        pairs in prop::collection::vec(("id|deviceid|lat|lon|location|timestamp|accuracy|altitude|valid|u|d", "[-0-9.,eE%+a-fZ: ]{0,12}"), 0..12),
        in_body: bool,
    ) {
        let text: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = text.join("&");
        let (query, body) = if in_body { ("", &*text) } else { (&*text, "") };
        check(&Protocol::OsmAnd.parse(&request(query, body)), text.len());
    }

    #[test]
    fn names_of_devices_are_mapped_without_collisions(a in ".{0,50}", b in "[-a-c.~%/ 0-9]{0,6}") {
        for device in [&a, &b] {
            if let Ok(id) = recording_id(device) {
                prop_assert_eq!(device_name(&id), Some(device.clone()));
            }
        }
    }
}

#[test]
fn each_kind_of_problem_is_counted_under_its_name() {
    let feature = |longitude: &str, latitude: &str, time: &str, accuracy: i32| {
        format!(
            r#"{{"geometry":{{"coordinates":[{longitude},{latitude}]}},"properties":{{"timestamp":{time},"horizontal_accuracy":{accuracy}}}}}"#
        )
    };
    let good = feature("2", "1", "1716200000", 5);
    for (name, bad) in FixProblem::NAMES.into_iter().zip([
        "1".to_owned(),
        feature("2", "null", "1716200000", 5),
        feature("2", r#""x""#, "1716200000", 5),
        feature("2", "91", "1716200000", 5),
        feature("181", "1", "1716200000", 5),
        feature("2", "1", "1716200000", -1),
        feature("2", "1", r#""x""#, 5),
        feature("2", "1", "5", 5),
        feature("2", "1", "17162000000", 5),
    ]) {
        let body = format!(r#"{{"locations":[{bad},{good},{bad}]}}"#);
        let batch = Protocol::Overland.parse(&request("", &body)).unwrap();
        let counted: Vec<_> = FixProblem::NAMES
            .into_iter()
            .zip(batch.bad_counts)
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counted, [(name, 2)], "{bad}");
        assert_eq!((batch.bad_count, batch.fixes.len()), (2, 1));
    }
}
