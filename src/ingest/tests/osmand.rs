//! Requests of OsmAnd, GPSLogger and Traccar Client up to 8, composed after <https://www.traccar.org/osmand/>, `ProtocolFormatter`
//! of traccar-client-android and `OsmAndProtocolDecoder` of traccar.

use super::*;

fn osmand(query: &str, body: &str) -> String {
    parsed(Protocol::OsmAnd, query, body)
}

#[test]
fn parameters_have_a_fix() {
    // The order and the forms of ProtocolFormatter.kt.
    let query = "id=48241179&timestamp=1716200000&lat=46.5&lon=14.25&speed=2.5&bearing=90.0&altitude=310.5&accuracy=4.8&batt=87.0";
    let fix = "48241179: 46.5 14.25 at 1716200000 +-4.8 z 310.5\nAccept";
    assert_eq!(osmand(query, ""), fix);
    assert_eq!(osmand("", query), fix);
    assert_eq!(osmand("token=x", query), fix);
    // OsmAnd: the URL of its online tracking, with milliseconds.
    let query =
        "deviceid=osm&lat=46.5&lon=14.25&timestamp=1716200000123&hdop=3&altitude=310.5&speed=2";
    assert_eq!(osmand(query, ""), "osm: 46.5 14.25 at 1716200000.123 z 310.5\nAccept");
    // GPSLogger: %AID, %LOC-like parameters with %TIME in ISO 8601.
    let query =
        "id=logger&lat=46.5&lon=14.25&timestamp=2024-05-20T10:13:20.000Z&accuracy=12&altitude=";
    assert_eq!(osmand(query, ""), "logger: 46.5 14.25 at 1716200000 +-12\nAccept");
    // traccar.org/osmand: location, and the third form of timestamp.
    let query = "id=a%20b&location=46.5,14.25&timestamp=2024-05-20%2010:13:20";
    assert_eq!(osmand(query, ""), "a b: 46.5 14.25 at 1716200000\nAccept");
}

#[test]
fn a_body_of_json_is_one_of_the_new_client() {
    let body = r#"{"location":{"timestamp":"2024-05-20T10:13:20.000Z","coords":{"latitude":46.5,"longitude":14.25}},"device_id":"x"}"#;
    assert_eq!(osmand("", body), "x: 46.5 14.25 at 1716200000\nAccept");
    let request =
        Request { content_type: Some("Application/JSON; charset=utf-8"), ..request("", "[1]") };
    assert!(matches!(Protocol::OsmAnd.parse(&request), Err(Rejection::OtherProtocol(_))));
}

#[test]
fn a_request_without_a_position_is_an_event() {
    assert_eq!(osmand("id=a&timestamp=1716200000&batt=50", ""), "NoPosition\nAccept");
    for valid in ["false", "0"] {
        let query = format!("id=a&valid={valid}&lat=0&lon=0&timestamp=1716200000");
        assert_eq!(osmand(&query, ""), "NoPosition\nAccept");
    }
    for valid in ["true", "1", ""] {
        let query = format!("id=a&valid={valid}&lat=1&lon=2&timestamp=1716200000");
        assert_eq!(osmand(&query, ""), "a: 1 2 at 1716200000\nAccept");
    }
    // The token can name the device.
    assert_eq!(osmand("lat=1&lon=2&timestamp=1716200000", ""), "-: 1 2 at 1716200000\nAccept");
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (query, error) in [
        (
            "",
            "this is not a request of this protocol: it has neither a device nor a position; check the address in the app",
        ),
        (
            "speed=3",
            "this is not a request of this protocol: it has neither a device nor a position; check the address in the app",
        ),
        ("id=a&lat=1&timestamp=1716200000", "the longitude is missing"),
        ("id=a&lon=1&timestamp=1716200000", "the latitude is missing"),
        ("id=a&lat=1&lon=2", "the time is missing"),
        (
            "id=a&lat=%LAT&lon=%LON&timestamp=1716200000",
            "the parameters cannot be read: an escape is not valid UTF-8",
        ),
        ("id=a&lat=1&lon=x&timestamp=1716200000", "the longitude is not a number"),
        ("id=a&lat=NaN&lon=2&timestamp=1716200000", "the latitude is not a number"),
        ("id=a&lat=inf&lon=2&timestamp=1716200000", "the latitude is not a number"),
        ("id=a&location=1&timestamp=1716200000", "the location is not a number"),
        ("id=a&location=1,2,3&timestamp=1716200000", "the longitude is not a number"),
        (
            "id=a&lat=1&lat=3&lon=2&timestamp=1716200000",
            "the parameter lat has two different values",
        ),
        (
            "id=a&deviceid=b&lat=1&lon=2&timestamp=1716200000",
            "the parameter id has two different values",
        ),
        (
            "id=%ff&lat=1&lon=2&timestamp=1716200000",
            "the parameters cannot be read: an escape is not valid UTF-8",
        ),
        ("id=%4", "the parameters cannot be read: an escape is not valid UTF-8"),
    ] {
        assert_eq!(osmand(query, ""), format!("Reject: {error}"), "{query}");
    }
    let many: String = (0..101).map(|index| format!("p{index}=1&")).collect();
    assert_eq!(osmand(&many, ""), "Reject: the parameters cannot be read: there are more than 100");
    assert!(
        osmand("id=a&lat=1&lon=2&timestamp=1716200000", "lat=3").contains("two different values")
    );
    // The same value twice is one.
    let query = "id=a&id=a&deviceid=a&lat=1&lon=2&timestamp=1716200000";
    assert_eq!(osmand(query, "lat=1"), "a: 1 2 at 1716200000\nAccept");
}

#[test]
fn values_out_of_range_are_dropped() {
    for (query, problem) in [
        (
            "lat=91&lon=2&timestamp=1716200000",
            "the latitude is outside of -90 to 90; are latitude and longitude swapped?",
        ),
        ("lat=1&lon=-180.5&timestamp=1716200000", "the longitude is outside of -180 to 180"),
        ("lat=1&lon=2&timestamp=1", "the time is before 2000: the clock of the device is not set"),
        (
            "lat=1&lon=2&timestamp=1816200000",
            "the time is more than an hour in the future: the clock or the time zone of the device is wrong",
        ),
        (
            "lat=1&lon=2&timestamp=1716200000&accuracy=-1",
            "the device reports that the position is not valid",
        ),
    ] {
        let expected = format!("0: {problem}\nAcceptAndDrop {{ bad_count: 1 }}");
        assert_eq!(osmand(&format!("id=a&{query}"), ""), expected);
    }
    let query = "id=a&lat=1&lon=2&timestamp=1716200000&accuracy=0.0&altitude=1e300";
    assert_eq!(osmand(query, ""), "a: 1 2 at 1716200000\nAccept");
}
