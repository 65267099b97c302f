//! A stream of messages has the same result whole and cut in two, for arbitrary bytes.
#![no_main]
use waywiser::internals::wire::{Encoding, MessageError, Messages};

fn read(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), MessageError>) {
    let (mut messages, mut out) = (Messages::new(Encoding::Gzip, 4096), Vec::new());
    for mut chunk in chunks.iter().copied() {
        loop {
            match messages.next(&mut chunk) {
                Ok(Some(message)) => out.push(message.to_vec()),
                Ok(None) => break,
                Err(error) => return (out, Err(error)),
            }
        }
    }
    (out, messages.finish())
}

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let (head, tail) = input.1.split_at(usize::from(input.0).min(input.1.len()));
    assert_eq!(read(&[input.1]), read(&[head, tail]));
});
