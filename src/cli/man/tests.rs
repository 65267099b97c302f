//! The date of manual pages, and their sections after the options.

use super::*;

#[test]
fn the_date_is_that_of_the_changelog_or_of_the_variable() {
    let changes = include_str!("../../../CHANGELOG.md");
    let heading = concat!("## ", env!("CARGO_PKG_VERSION"), " (");
    let (_, rest) = changes.split_once(heading).unwrap();
    let (released, _) = rest.split_once(')').unwrap();
    assert!(released == "unreleased" || released == VERSION_DATE, "released: {released}");
    assert_eq!(date(OsStr::new("0")).as_deref(), Some("1970-01-01"));
    assert_eq!(date(OsStr::new("1795737600")).as_deref(), Some("2026-11-27"));
    assert_eq!(date(OsStr::new("253402300799")).as_deref(), Some("9999-12-31"));
    for wrong in ["", "-1", "now", "253402300800", "18446744073709551616"] {
        assert_eq!(date(OsStr::new(wrong)), None, "{wrong}");
    }
}

#[test]
fn the_text_after_the_options_becomes_sections() {
    let text = "Examples:\n  run -x 'a' \\\n      b\n\nExit status: 0 for\n.success\n\nMore.";
    insta::assert_snapshot!(sections(text), @r#"
    .SH EXAMPLES
    .nf
      run \-x \(aqa\(aq \e
          b
    .fi
    .SH "EXIT STATUS"
    0 for
    \&.success
    .SH "NOTES"
    More.
    "#);
    assert_eq!(sections(""), "");
}
