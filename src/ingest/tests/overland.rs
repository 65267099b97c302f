//! Batches of Overland, composed after the README of <https://github.com/aaronpk/Overland-iOS>.

use super::*;

fn overland(body: &str) -> String {
    parsed(Protocol::Overland, "", body)
}

/// Returns the feature of the README with this timestamp, and with members added to its properties.
fn feature(timestamp: &str, properties: &str) -> String {
    format!(
        r#"{{"type":"Feature","geometry":{{"type":"Point","coordinates":[-122.030581,37.3318]}},"properties":{{
        "timestamp":"{timestamp}","altitude":80,"speed":4,"horizontal_accuracy":30,"motion":["driving","stationary"],
        "pauses":false,"activity":"other_navigation","desired_accuracy":100,"deferred":1000,
        "significant_change":"disabled","locations_in_payload":1,"battery_state":"charging","battery_level":0.89,
        "wifi":""{properties}}}}}"#
    )
}

#[test]
fn a_batch_has_fixes_in_its_order() {
    let first = feature("2024-05-20T03:13:20-0700", r#","device_id":"","vertical_accuracy":-1"#);
    let second = feature("2024-05-20T10:13:10Z", r#","device_id":"phone","vertical_accuracy":4"#);
    // "current" and "trip" of the README repeat fixes.
    let body = format!(
        r#"{{"locations":[{first},{second}],"current":{first},"trip":{{"distance":5,"current_location":{second}}}}}"#
    );
    assert_eq!(
        overland(&body),
        "-: 37.3318 -122.030581 at 1716200000 +-30\n\
         phone: 37.3318 -122.030581 at 1716199990 +-30 z 80\nAccept"
    );
    assert_eq!(overland(r#"{"locations":[]}"#), "Accept");
    assert_eq!(Protocol::Overland.success_body(), "{\"result\":\"ok\"}");
}

#[test]
fn features_with_an_action_are_events() {
    let action = feature(
        "2024-05-20T10:13:20Z",
        r#","action":"visit","arrival_date":"2024-05-20T10:13:20Z""#,
    );
    let trip = feature("2024-05-20T10:13:20Z", r#","type":"trip","mode":"car""#);
    let strange = feature("2024-05-20T10:13:20Z", r#","action":{"a":1}"#);
    let fix = feature("2024-05-20T10:13:20Z", "");
    let body = format!(r#"{{"locations":[{action},{trip},{strange},{fix}]}}"#);
    assert_eq!(
        overland(&body),
        "-: 37.3318 -122.030581 at 1716200000 +-30 z 80\nMessage(\"visit\")\nMessage(\"trip\")\nMessage(\"action\")\nAccept"
    );
}

#[test]
fn bad_features_are_dropped_and_the_others_stay() {
    let good = feature("2024-05-20T10:13:20Z", "");
    let old = feature("1970-01-01T00:00:00Z", "");
    let invalid = r#"{"geometry":{"coordinates":[1,2]},"properties":{"timestamp":"2024-05-20T10:13:20Z","horizontal_accuracy":-1}}"#;
    let swapped = r#"{"geometry":{"coordinates":[37.3,-122.0]},"properties":{"timestamp":"2024-05-20T10:13:20Z"}}"#;
    let body = format!(
        r#"{{"locations":[{old},{invalid},{swapped},7,null,{{}},{{"geometry":{{"coordinates":"x"}},"properties":[]}},
        {{"geometry":{{"coordinates":[1]}}}},{{"geometry":{{"coordinates":[1,2,3,4]}}}},{good}]}}"#
    );
    assert_eq!(
        overland(&body),
        "-: 37.3318 -122.030581 at 1716200000 +-30 z 80\n\
         0: the time is before 2000: the clock of the device is not set\n\
         1: the device reports that the position is not valid\n\
         2: the latitude is outside of -90 to 90; are latitude and longitude swapped?\n\
         3: the point is not an object\n\
         4: the point is not an object\n\
         5: the latitude is missing\n\
         6: the latitude is missing\n\
         7: the latitude is missing\n\
         AcceptAndDrop { bad_count: 9 }"
    );
}

#[test]
fn the_number_of_features_is_limited() {
    let list = |count: usize| format!(r#"{{"locations":[{}]}}"#, vec!["0"; count].join(","));
    let Ok(batch) = Protocol::Overland.parse(&request("", &list(FIXES_MAX))) else { panic!() };
    assert_eq!((batch.bad_count, batch.problems.len()), (FIXES_MAX, PROBLEMS_MAX));
    let result = Protocol::Overland.parse(&request("", &list(FIXES_MAX + 1)));
    assert_eq!(result, Err(Rejection::TooManyFixes));
    let result = Protocol::Overland.parse(&request("", &list(BODY_BYTES_MAX / 2 - 20)));
    assert_eq!(result, Err(Rejection::TooManyFixes));
}
