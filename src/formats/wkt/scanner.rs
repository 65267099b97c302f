//! Splits well-known text into words and punctuation, with positions. Reads the text as a stream.

use std::io::{self, BufRead};

use super::super::error::{FormatError, Limit, Position};

/// The bytes of a word that are kept. No keyword and no number that a program writes is longer.
const WORD_BYTES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a number. Its text is [`Scanner::word`].
    Word,
    Open,
    Close,
    Comma,
    Semicolon,
    End,
}

pub(super) struct Scanner<R> {
    input: R,
    line: u64,
    column: u64,
    /// The position of the last token.
    position: Position,
    word: Vec<u8>,
    /// A token that is returned again.
    pushed_back: Option<Token>,
}

impl<R: BufRead> Scanner<R> {
    pub(super) fn new(input: R) -> Self {
        let (line, column) = (1, 1);
        let position = Position::column(line, column);
        Self { input, line, column, position, word: Vec::new(), pushed_back: None }
    }

    /// Returns the position of the last token.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Returns the text of the last word, at most its first 64 bytes.
    pub(super) fn word(&self) -> &[u8] {
        &self.word
    }

    /// Makes the last token the next one again.
    pub(super) fn push_back(&mut self, token: Token) {
        self.pushed_back = Some(token);
    }

    /// Returns the next token.
    pub(super) fn next(&mut self) -> Result<Token, FormatError> {
        if let Some(token) = self.pushed_back.take() {
            return Ok(token);
        }
        while self.peek()?.is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0) {
            self.consume();
        }
        self.position = Position::column(self.line, self.column);
        let token = match self.peek()? {
            None => return Ok(Token::End),
            Some(b'(') => Token::Open,
            Some(b')') => Token::Close,
            Some(b',') => Token::Comma,
            Some(b';') => Token::Semicolon,
            Some(_) => {
                self.read_word()?;
                return Ok(Token::Word);
            }
        };
        self.consume();
        Ok(token)
    }

    /// Skips the rest of the line, including the token that was pushed back.
    pub(super) fn skip_line(&mut self) -> Result<(), FormatError> {
        self.pushed_back = None;
        while self.peek()?.is_some_and(|byte| byte != b'\n') {
            self.consume();
        }
        Ok(())
    }

    fn read_word(&mut self) -> Result<(), FormatError> {
        self.word.clear();
        while let Some(byte) = self.peek()? {
            if byte.is_ascii_whitespace() || matches!(byte, b'(' | b')' | b',' | b';' | 0) {
                break;
            }
            if self.word.len() < WORD_BYTES_MAX {
                self.word.push(byte);
            }
            self.consume();
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>, FormatError> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Limit::or_io(error, Position::column(self.line, self.column)));
                }
            }
        }
    }

    /// Consumes the byte that [`Scanner::peek`] has returned.
    fn consume(&mut self) {
        let is_line_end = self.input.fill_buf().is_ok_and(|bytes| bytes.first() == Some(&b'\n'));
        self.input.consume(1);
        match is_line_end {
            true => (self.line, self.column) = (self.line + 1, 1),
            false => self.column += 1,
        }
    }
}
