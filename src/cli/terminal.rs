//! What a terminal can show.

use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Returns whether a line of the stream can be updated: it is a terminal that can move its cursor.
pub(super) fn can_update(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && moves_cursor(env::var_os("TERM").as_deref())
}

/// Returns whether a terminal of this type can move its cursor. On Unix every terminal that can has a type.
fn moves_cursor(term: Option<&OsStr>) -> bool {
    match term {
        Some(term) => !term.is_empty() && term != "dumb",
        None => cfg!(windows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_cannot_move_its_cursor() {
        assert!(moves_cursor(Some(OsStr::new("xterm-256color"))));
        for term in ["dumb", ""] {
            assert!(!moves_cursor(Some(OsStr::new(term))));
        }
        assert_eq!(moves_cursor(None), cfg!(windows));
    }
}
