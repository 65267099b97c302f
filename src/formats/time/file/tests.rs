//! Tests of the options for times in each format.

use super::super::super::tests::Recorded;
use super::super::super::{ReadOptions, read};

/// Files with `TIME` in place of a time.
const FILES: [(&str, &str); 12] = [
    (
        "GPX",
        "<gpx><trk><trkseg><trkpt lat='1' lon='2'><time>TIME</time></trkpt></trkseg></trk></gpx>",
    ),
    (
        "TCX",
        "<TrainingCenterDatabase><Activity><Lap><Track><Trackpoint><Time>TIME</Time><Position><LatitudeDegrees>1\
         </LatitudeDegrees><LongitudeDegrees>2</LongitudeDegrees></Position></Trackpoint></Track></Lap></Activity>\
         </TrainingCenterDatabase>",
    ),
    (
        "KML track",
        "<kml><Placemark><gx:Track><when>TIME</when><gx:coord>2 1</gx:coord></gx:Track></Placemark></kml>",
    ),
    (
        "KML points",
        "<kml><Placemark><TimeStamp><when>TIME</when></TimeStamp><Point><coordinates>2,1</coordinates></Point>\
         </Placemark></kml>",
    ),
    (
        "GeoJSON line",
        r#"{"type":"Feature","properties":{"coordTimes":["TIME"]},"geometry":{"type":"LineString","coordinates":[[2,1]]}}"#,
    ),
    (
        "GeoJSON line with coordinateProperties",
        r#"{"type":"Feature","properties":{"coordinateProperties":{"times":[["TIME"]]}},"geometry":{
        "type":"MultiLineString","coordinates":[[[2,1]]]}}"#,
    ),
    (
        "GeoJSON point",
        r#"{"type":"Feature","properties":{"time":"TIME"},"geometry":{"type":"Point","coordinates":[2,1]}}"#,
    ),
    (
        "Overland",
        r#"{"locations":[{"type":"Feature","geometry":{"type":"Point","coordinates":[2,1]},"properties":{"timestamp":"TIME"}}]}"#,
    ),
    (
        "Google records",
        r#"{"locations":[{"latitudeE7":10000000,"longitudeE7":20000000,"timestamp":"TIME"}]}"#,
    ),
    (
        "Google semantic",
        r#"{"timelineObjects":[{"activitySegment":{"startLocation":{"latitudeE7":10000000,"longitudeE7":20000000},
        "duration":{"startTimestamp":"TIME"}}}]}"#,
    ),
    (
        "Google phone",
        r#"{"semanticSegments":[{"timelinePath":[{"point":"1.0°, 2.0°","time":"TIME"}]}]}"#,
    ),
    ("OwnTracks", r#"{"_type":"location","lat":1,"lon":2,"tst":"TIME"}"#),
];

fn options(timezone: Option<&str>, time_format: Option<&str>) -> ReadOptions {
    let own = |text: Option<&str>| text.map(str::to_owned);
    ReadOptions { timezone: own(timezone), time_format: own(time_format), ..Default::default() }
}

/// Returns the tracks, notes and error of a file.
fn outcome(file: &str, options: &ReadOptions) -> String {
    let mut sink = Recorded::default();
    let error = read(file.as_bytes(), options, &mut sink).err();
    let error = error.map_or(String::new(), |error| error.to_string());
    sink.ended.concat() + &sink.notes.concat() + &error
}

// 10:00 of this day in UTC and in Berlin, from `date -u -d 2024-02-01T10:00:00Z +%s` and one hour earlier.
const IN_UTC: &str = "(2 1 t1706781600)";
const IN_BERLIN: &str = "(2 1 t1706778000)";

#[test]
fn times_without_a_zone_are_in_the_zone_of_the_options() {
    for (name, template) in FILES {
        let file = template.replace("TIME", "2024-02-01T10:00:00");
        let text = outcome(&file, &options(None, None));
        assert!(text.contains(IN_UTC), "{name}: {text}");
        assert_eq!(text.matches("assumed_zone, line ").count(), 1, "{name}: {text}");
        let text = outcome(&file, &options(Some("Europe/Berlin"), None));
        assert!(text.contains(IN_BERLIN), "{name}: {text}");
        assert!(
            !text.contains("assumed_zone") && !text.contains("unused_option"),
            "{name}: {text}"
        );
    }
}

#[test]
fn times_are_read_in_the_format_of_the_options() {
    for (name, template) in FILES {
        let file = template.replace("TIME", "01/02/2024 10:00:00");
        let text = outcome(&file, &options(Some("+01:00"), Some("%d/%m/%Y %H:%M:%S")));
        assert!(text.contains(IN_BERLIN), "{name}: {text}");
        assert!(!text.contains("unused_option"), "{name}: {text}");
        // The format applies to the usual form, too.
        let file = template.replace("TIME", "2024-01-02T10:00:00Z");
        let text = outcome(&file, &options(None, Some("%Y-%d-%mT%H:%M:%SZ")));
        assert!(text.contains(IN_UTC), "{name}: {text}");
    }
}

#[test]
fn options_without_effect_are_noted() {
    for (name, template) in FILES {
        let file = template.replace("TIME", "2024-02-01T10:00:00Z");
        let text = outcome(&file, &options(Some("Europe/Berlin"), None));
        assert!(text.contains(IN_UTC), "{name}: {text}");
        let note =
            "unused_option, -: --timezone had no effect: no time that was read is without a zone";
        assert_eq!(text.matches(note).count(), 1, "{name}: {text}");
        assert!(!outcome(&file, &options(None, None)).contains("_option"), "{name}");
        // The caller uses the time zone for something else.
        let shared = ReadOptions { shares_timezone: true, ..options(Some("Europe/Berlin"), None) };
        assert!(!outcome(&file, &shared).contains("_option"), "{name}");
    }
    let epoch = r#"{"locations":[{"latitudeE7":10000000,"longitudeE7":20000000,"timestampMs":"1706781600000"}]}"#;
    let text = outcome(epoch, &options(Some("Europe/Berlin"), Some("%d/%m/%Y %H:%M:%S")));
    insta::assert_snapshot!(text, @r"
    track / (2 1 t1706781600) = none
    unused_option, -: --timezone had no effect: no time that was read is without a zone
    unused_option, -: --time-format had no effect: no text of a time is in this format
    ");
    let plt =
        "OziExplorer Track Point File Version 2.1\nWGS 84\n\n\n0,2,255,name\n0\n1,2,1,-777,0,,\n";
    let text = outcome(plt, &options(Some("Europe/Berlin"), Some("%d/%m/%Y %H:%M:%S")));
    let note = "unused_option, -: --timezone and --time-format had no effect: the times of this format are UTC";
    assert!(text.contains(note), "{text}");
    let shared = ReadOptions { shares_timezone: true, ..options(Some("Europe/Berlin"), None) };
    assert!(!outcome(plt, &shared).contains("_option"));
}

#[test]
fn options_that_are_not_valid_are_errors() {
    let plt = "OziExplorer Track Point File Version 2.1\n";
    for file in FILES.map(|(_, file)| file).into_iter().chain([plt]) {
        let text = outcome(file, &options(Some("Mars/Olympus"), None));
        assert!(text.contains("the time zone \"Mars/Olympus\" is unknown"), "{text}");
        let text = outcome(file, &options(None, Some("%H:%M")));
        assert!(text.contains("the time format \"%H:%M\" is not valid"), "{text}");
    }
}

#[test]
fn times_that_are_not_used_are_not_noted() {
    let time = "2024-02-01T10:00:00";
    let line = format!(
        r#"{{"type":"Feature","properties":{{"time":"{time}"}},"geometry":{{"type":"LineString","coordinates":[[2,1]]}}}}"#
    );
    let kml = format!(
        "<kml><Placemark><TimeStamp><when>{time}</when></TimeStamp><Point><coordinates>2,1</coordinates></Point>\
         </Placemark><Placemark><TimeStamp><when>{time}</when></TimeStamp><LineString><coordinates>2,1 3,1\
         </coordinates></LineString></Placemark></kml>"
    );
    for file in [line, kml] {
        let text = outcome(&file, &options(None, None));
        assert!(text.starts_with("track / (2 1)") && !text.contains("assumed_zone"), "{text}");
    }
}
