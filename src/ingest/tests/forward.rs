//! Messages of a Traccar server, composed after <https://www.traccar.org/forward/>, the model of positions in its API and the
//! examples in its forum ("traccar webhook json", "why attributes is empty when forward data").

use super::*;

fn forward(body: &str) -> String {
    parsed(Protocol::Forward, "", body)
}

/// Returns a position with these members in addition.
fn position(members: &str) -> String {
    format!(
        r#"{{"position":{{"id":12345,"attributes":{{"batteryLevel":85,"motion":true}},"deviceId":10,"protocol":"gt06",
        "serverTime":"2024-05-20T10:13:25.000+00:00","deviceTime":"2024-05-20T10:13:21.000+00:00","latitude":-23.55,
        "longitude":-46.63,"altitude":760.0,"speed":13.5,"course":180.0,"address":null,"network":null{members}}},
        "device":{{"id":10,"name":"Company car","uniqueId":"123456789012345","status":"online","positionId":12345}}}}"#
    )
}

#[test]
fn a_position_has_a_fix_of_its_device() {
    let body = position(
        r#","fixTime":"2024-05-20T10:13:20.000+00:00","outdated":false,"valid":true,"accuracy":0.0"#,
    );
    let fix = "123456789012345: -23.55 -46.63 at 1716200000 z 760\nAccept";
    assert_eq!(forward(&body), fix);
    // A time in milliseconds. Without the time of the fix, that of the device.
    assert_eq!(forward(&position(r#","fixTime":1716200000000"#)), fix);
    let body = position(r#","accuracy":7.5"#);
    let fix = "123456789012345: -23.55 -46.63 at 1716200001 +-7.5 z 760\nAccept";
    assert_eq!(forward(&body), fix);
}

#[test]
fn repeated_positions_and_events_have_no_fix() {
    assert_eq!(forward(&position(r#","valid":false"#)), "NoPosition\nAccept");
    assert_eq!(forward(&position(r#","valid":true,"outdated":true"#)), "NoPosition\nAccept");
    let body = r#"{"event":{"id":43334,"attributes":{},"deviceId":385,"type":"deviceOffline","positionId":0},
        "device":{"id":385,"uniqueId":"868618052108909"}}"#;
    assert_eq!(forward(body), "Message(\"deviceOffline\")\nAccept");
}

#[test]
fn a_bad_position_is_dropped_and_another_body_is_refused() {
    let dropped = |problem: &str| format!("0: {problem}\nAcceptAndDrop {{ bad_count: 1 }}");
    let early = "the time is before 2000: the clock of the device is not set";
    assert_eq!(forward(&position(r#","fixTime":"1970-01-01T00:00:00.000+00:00""#)), dropped(early));
    let body = r#"{"position":{"fixTime":1716200000,"latitude":1},"device":5}"#;
    assert_eq!(forward(body), dropped("the longitude is missing"));
    for body in [r#"{"position":[1]}"#, r#"{"device":{"uniqueId":"x"}}"#, r#"{"latitude":1}"#] {
        assert!(forward(body).starts_with("Reject: this is not a request"), "{body}");
    }
}
