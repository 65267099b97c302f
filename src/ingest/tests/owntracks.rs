//! Messages of OwnTracks, composed after <https://owntracks.org/booklet/tech/json> and <https://owntracks.org/booklet/tech/http>.

use super::*;

fn owntracks(query: &str, body: &str) -> String {
    parsed(Protocol::OwnTracks, query, body)
}

#[test]
fn a_location_has_a_fix() {
    // All members of the Android app, after the list "_type=location" of the booklet.
    let body = r#"{"_type":"location","BSSID":"00:13:ef:60:1a:2b","SSID":"home","_id":"5e1f","acc":12,"alt":160,
        "batt":87,"bs":1,"cog":270,"conn":"w","created_at":1716200003,"inregions":["home"],"lat":48.85833,
        "lon":2.29513,"m":1,"t":"u","tid":"JJ","topic":"owntracks/jane/phone","tst":1716200000,"vac":3,"vel":54}"#;
    let fix = "jane/phone: 48.85833 2.29513 at 1716200000 +-12 z 160\nAccept";
    assert_eq!(owntracks("", body), fix);
    // The example of https://owntracks.org/booklet/features/traccar with another time.
    let body = r#"{"lon":2.29513,"lat":48.85833,"_type":"location","tst":1716200000, "tid":"JJ"}"#;
    assert_eq!(owntracks("", body), "JJ: 48.85833 2.29513 at 1716200000\nAccept");
}

#[test]
fn headers_and_parameters_name_the_device() {
    let body = r#"{"_type":"location","lat":1,"lon":2,"tst":1716200000,"tid":"JJ"}"#;
    let fix = |device: &str| format!("{device}: 1 2 at 1716200000\nAccept");
    // The booklet, "HTTP": X-Limit-U and X-Limit-D, or ?u=user&d=device.
    assert_eq!(owntracks("u=jane&d=phone", body), fix("jane/phone"));
    assert_eq!(owntracks("d=phone", body), fix("phone"));
    assert_eq!(owntracks("u=jane&d=", body), fix("jane"));
    let request =
        Request { user: Some("bob"), device: Some("watch"), ..request("u=jane&d=phone", body) };
    assert_eq!(shown(&Protocol::OwnTracks.parse(&request)), fix("bob/watch"));
    assert!(owntracks("u=a&u=b", body).starts_with("Reject: the parameter u has two"));
    assert!(owntracks("u=%zz", body).starts_with("Reject: the parameters cannot be read"));
}

#[test]
fn other_messages_are_events() {
    // The booklet, "HTTP": the payload may be empty when a friend is deleted.
    assert_eq!(owntracks("", ""), "Empty\nAccept");
    assert_eq!(owntracks("", " \n"), "Empty\nAccept");
    // The booklet, "_type=transition" and "_type=lwt".
    let body = r#"{"_type":"transition","wtst":1425042603,"lat":12.34,"lon":44.5,"tst":1427634603,"acc":130,"tid":"JP",
        "event":"enter","desc":"home","t":"b"}"#;
    assert_eq!(owntracks("", body), "Message(\"transition\")\nAccept");
    assert_eq!(owntracks("", r#"{"_type":"lwt","tst":1380738247}"#), "Message(\"lwt\")\nAccept");
    // The booklet, "t": p is a ping.
    let body = r#"{"_type":"location","t":"p","lat":1,"lon":2,"tst":1716200000,"tid":"JJ"}"#;
    assert_eq!(owntracks("", body), "Ping\nAccept");
    // The booklet, "_type=encrypted". Its fix would be lost.
    let body = r#"{"_type":"encrypted","data":"l7lLlQZ1J2pGc8Mvkw=="}"#;
    assert!(owntracks("", body).starts_with("Reject: the message is encrypted"));
}

#[test]
fn a_bad_location_is_dropped() {
    let with = |members: &str| {
        let body = format!(r#"{{"_type":"location","tid":"JJ",{members}}}"#);
        owntracks("", &body)
    };
    let dropped = |problem: &str| format!("0: {problem}\nAcceptAndDrop {{ bad_count: 1 }}");
    assert_eq!(with(r#""lat":1,"tst":1716200000"#), dropped("the longitude is missing"));
    assert_eq!(with(r#""lat":null,"lon":2,"tst":1716200000"#), dropped("the latitude is missing"));
    assert_eq!(
        with(r#""lat":1,"lon":[2],"tst":1716200000"#),
        dropped("the longitude is not a number")
    );
    assert_eq!(
        with(r#""lat":"NaN","lon":2,"tst":1716200000"#),
        dropped("the latitude is not a number")
    );
    let swapped = "the latitude is outside of -90 to 90; are latitude and longitude swapped?";
    assert_eq!(with(r#""lat":122.03,"lon":37.33,"tst":1716200000"#), dropped(swapped));
    assert_eq!(
        with(r#""lat":1,"lon":2,"tst":17"#),
        dropped("the time is before 2000: the clock of the device is not set")
    );
    assert_eq!(with(r#""lat":1,"lon":2"#), dropped("the time is missing"));
    assert!(with(r#""lat":1,"lon":2,"tst":true"#).starts_with("0: the time cannot be read"));
    // Numbers as text are numbers. An accuracy of 0, or that is no number, is missing.
    let fix = "JJ: 1.5 2 at 1716200000\nAccept";
    for acc in ["0", "null", "\"good\"", "{}", "1e300"] {
        let members =
            format!(r#""lat":"1.5","lon":"2","tst":"1716200000","acc":{acc},"alt":"high""#);
        assert_eq!(with(&members), fix, "{acc}");
    }
    // iOS reports a negative accuracy for what is not valid.
    let members = r#""lat":1,"lon":2,"tst":1716200000,"acc":-1"#;
    assert_eq!(with(members), dropped("the device reports that the position is not valid"));
    let members = r#""lat":1.5,"lon":2,"tst":1716200000,"alt":100,"vac":-1"#;
    assert_eq!(with(members), fix);
    // A member twice.
    assert!(
        with(r#""lat":1,"lat":1,"lon":2,"tst":1716200000"#)
            .starts_with("Reject: the body cannot be read")
    );
}
