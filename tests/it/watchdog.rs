//! A test that hangs, for the proof in `.ci/run` that the watchdog ends and names it.

#[test]
#[ignore = "it never ends; .ci/run runs it under .ci/watchdog"]
fn a_test_that_never_ends() {
    loop {
        std::thread::park();
    }
}
