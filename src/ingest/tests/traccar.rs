//! Requests of Traccar Client 9, composed after the JSON example of <https://www.traccar.org/osmand/> and the schema of the
//! background location SDK, <https://github.com/transistorsoft/flutter_background_geolocation/wiki/Location-Data-Schema>.

use super::*;

fn traccar(body: &str) -> String {
    parsed(Protocol::Traccar, "", body)
}

#[test]
fn a_location_has_a_fix() {
    // The members of the example.
    let body = r#"{"location":{"timestamp":"2024-05-20T10:13:20.123Z","coords":{"latitude":46.5,"longitude":14.25,
        "accuracy":4.8,"speed":1.2,"heading":90,"altitude":310.5},"is_moving":false,"odometer":0,"event":"motionchange",
        "battery":{"level":1,"is_charging":false},"activity":{"type":"still"},"extras":{}},"device_id":"48241179"}"#;
    assert_eq!(traccar(body), "48241179: 46.5 14.25 at 1716200000.123 +-4.8 z 310.5\nAccept");
    // The schema: altitude_accuracy; an accuracy of 0 is missing; a device as a number.
    let body = r#"{"location":{"timestamp":"2024-05-20T10:13:20.123Z","age":12,"uuid":"1","coords":{"latitude":46.5,
        "longitude":14.25,"accuracy":0,"altitude":310.5,"altitude_accuracy":-1}},"device_id":48241179}"#;
    assert_eq!(traccar(body), "48241179: 46.5 14.25 at 1716200000.123\nAccept");
    let body = r#"{"location":{"timestamp":1716200000123,"coords":{"latitude":"46.5","longitude":"14.25"}}}"#;
    assert_eq!(traccar(body), "-: 46.5 14.25 at 1716200000.123\nAccept");
}

#[test]
fn a_location_without_coords_is_an_event() {
    for body in [
        r#"{"location":{"timestamp":"2024-05-20T10:13:20.123Z","event":"heartbeat"},"device_id":"x"}"#,
        r#"{"location":{"coords":null},"device_id":"x"}"#,
        r#"{"location":null,"device_id":"x"}"#,
        r#"{"device_id":"x"}"#,
    ] {
        assert_eq!(traccar(body), "NoPosition\nAccept");
    }
}

#[test]
fn a_bad_location_is_dropped_and_another_body_is_refused() {
    let with = |coords: &str| {
        traccar(&format!(
            r#"{{"location":{{"timestamp":"2024-05-20T10:13:20Z","coords":{coords}}},"device_id":"x"}}"#
        ))
    };
    let dropped = |problem: &str| format!("0: {problem}\nAcceptAndDrop {{ bad_count: 1 }}");
    assert_eq!(with("{}"), dropped("the latitude is missing"));
    assert_eq!(
        with(r#"{"latitude":1,"longitude":"east"}"#),
        dropped("the longitude is not a number")
    );
    assert_eq!(
        with(r#"{"latitude":1,"longitude":400}"#),
        dropped("the longitude is outside of -180 to 180")
    );
    assert_eq!(
        with(r#"{"latitude":1,"longitude":2,"accuracy":-5}"#),
        dropped("the device reports that the position is not valid")
    );
    let body = r#"{"location":{"coords":{"latitude":1,"longitude":2}},"device_id":"x"}"#;
    assert_eq!(traccar(body), dropped("the time is missing"));
    assert!(
        with("[1,2]").starts_with("Reject: this is not a request of this protocol: its coords")
    );
    assert!(traccar(r#"{"location":[1],"device_id":"x"}"#).starts_with("Reject: this is not"));
    assert!(traccar("").starts_with("Reject: the body cannot be read"));
}
