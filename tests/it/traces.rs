//! Traces of calls over OTLP, received by a small collector in this process.

#[cfg(feature = "otlp")]
mod collector;

#[cfg(not(feature = "otlp"))]
#[test]
fn without_the_feature_the_option_names_it() {
    let serve = ["serve", "--ephemeral", "--listen", "127.0.0.1:0"];
    for command in [&serve[..], &["config", "check"]] {
        let arguments = [command, &["--otlp-endpoint", "http://127.0.0.1:1"]].concat();
        let output = crate::binary::waywiser(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains("--otlp-endpoint: this program was built without the feature otlp"),
            "{stderr}"
        );
    }
}
