//! A test that hangs. `.ci/run` uses it to check that the watchdog ends and names such a test.

#[test]
#[ignore = "it never ends; .ci/run runs it under .ci/watchdog"]
fn a_test_that_never_ends() {
    loop {
        std::thread::park();
    }
}
