//! The `waywiser` program.

fn main() {}
