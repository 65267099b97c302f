//! The fast path and the slow path decode the same points from arbitrary bytes, cut anywhere.
#![no_main]
use waywiser::internals::wire::{Encoding, Messages, decode_point};

fn read(chunks: &[&[u8]], fast: bool) -> (Vec<(i32, i32)>, bool) {
    let (mut messages, mut points) = (Messages::new(Encoding::Identity, 4096), Vec::new());
    for mut chunk in chunks.iter().copied() {
        loop {
            let mut run = [[0; 16]; 2];
            let [first, second] = &mut run;
            let n = if fast { messages.next_points(&mut chunk, first, second) } else { 0 };
            points.extend(first.iter().copied().zip(second.iter().copied()).take(n));
            match messages.next(&mut chunk).map(|message| message.map(decode_point)) {
                Ok(Some(Ok(point))) => points.push(point),
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => return (points, false),
            }
        }
    }
    (points, messages.finish().is_ok())
}

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let (head, tail) = input.1.split_at(usize::from(input.0).min(input.1.len()));
    assert_eq!(read(&[head, tail], true), read(&[input.1], false));
});
