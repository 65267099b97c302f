//! What the decoders of gzip and zip share: counts of bytes, the limit of their ratio, and the first error.
//!
//! A decoder is below the reader of a format, which sees its errors as I/O errors. So the decoder stores the
//! error with its position in a [`Failure`], and the caller of the reader returns that error.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::error::FormatError;

/// The bytes of output for which the ratio is not limited.
const FREE_BYTES: u64 = 64 << 20;
/// The largest ratio of output to compressed input. GPX files have up to about 30.
pub(super) const RATIO_MAX: u64 = 200;
/// The output buffer of a decoder.
const BUFFER_BYTES: usize = 32 << 10;

/// Returns whether this amount of output is too large for the compressed input.
pub(super) fn is_bomb(compressed_bytes: u64, expanded_bytes: u64) -> bool {
    expanded_bytes > FREE_BYTES && expanded_bytes / RATIO_MAX > compressed_bytes
}

/// The first error of a decoder or of its input.
#[derive(Clone, Default)]
pub(super) struct Failure(Rc<RefCell<Option<FormatError>>>);

impl Failure {
    /// Stores the first error. Returns a placeholder for the reader of the format.
    pub(super) fn set(&self, error: FormatError) -> io::Error {
        self.0.borrow_mut().get_or_insert(error);
        io::Error::other("the compressed data cannot be read")
    }

    /// Returns the stored error if the reader has ended with it, and otherwise the outcome of the reader. The input is
    /// read in advance, so that the reader may end with an error of the content before the stored one.
    pub(super) fn or<T>(&self, outcome: Result<T, FormatError>) -> Result<T, FormatError> {
        match (self.0.borrow_mut().take(), outcome) {
            (Some(error), Ok(_) | Err(FormatError::Io(_))) => Err(error),
            (_, outcome) => outcome,
        }
    }

    fn is_set(&self) -> bool {
        self.0.borrow().is_some()
    }
}

/// A number of bytes that a decoder and its input share.
#[derive(Clone, Default)]
pub(super) struct ByteCount(Rc<Cell<u64>>);

impl ByteCount {
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }

    fn add(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_add(bytes as u64));
    }
}

/// Counts the bytes that are consumed from an input, and stores its first I/O error.
pub(super) struct Counted<R> {
    input: R,
    count: ByteCount,
    failure: Failure,
}

impl<R> Counted<R> {
    pub(super) fn new(input: R, failure: Failure) -> Self {
        Self { input, count: ByteCount::default(), failure }
    }

    pub(super) fn count(&self) -> &ByteCount {
        &self.count
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.input.fill_buf() {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(self.failure.set(FormatError::Io(error)))
            }
            result => result,
        }
    }

    fn consume(&mut self, amount: usize) {
        self.count.add(amount);
        self.input.consume(amount);
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

/// A decoder: returns the next part of the output, or the error that ends it.
pub(super) trait Decode {
    /// Returns the number of bytes that were written to `out`, and 0 at the end.
    fn decode(&mut self, out: &mut [u8]) -> Result<usize, DecodeError>;
}

/// The reason why a decoder cannot continue.
pub(super) enum DecodeError {
    Interrupted,
    Format(FormatError),
}

/// Buffers the output of a decoder. After the first error, each call returns an error.
pub(super) struct Expanded<D> {
    pub(super) decoder: D,
    failure: Failure,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<D> Expanded<D> {
    pub(super) fn new(decoder: D, failure: Failure) -> Self {
        Self { decoder, failure, buffer: vec![0; BUFFER_BYTES].into(), start: 0, end: 0 }
    }
}

impl<D: Decode> BufRead for Expanded<D> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            if self.failure.is_set() {
                return Err(io::Error::other("the compressed data cannot be read"));
            }
            match self.decoder.decode(&mut self.buffer) {
                Ok(length) => (self.start, self.end) = (0, length),
                Err(DecodeError::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
                Err(DecodeError::Format(error)) => return Err(self.failure.set(error)),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }
}

impl<D: Decode> Read for Expanded<D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}
