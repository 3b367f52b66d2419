//! Cuts a filter into tokens, remembering where each began.

/// What a piece of a filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Separator,
    Operator,
    Quoted,
    Field,
    Value,
    /// A character that begins nothing.
    Other,
    /// Something malformed; the message says what.
    Illegal(&'static str),
}

/// A piece of a filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Its first byte.
    pub(super) start: usize,
    pub(super) text: &'a str,
}

const NOT_TERMINATED: &str = "quoted literal not terminated";

/// Walks over a filter. After an operator the next plain word is a value.
pub(super) struct Scanner<'a> {
    input: &'a str,
    at: usize,
    wants_value: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(input: &'a str) -> Self {
        Self { input, at: 0, wants_value: false }
    }

    /// The next character, not taken.
    pub(super) fn peek(&self) -> Option<char> {
        self.input[self.at..].chars().next()
    }

    /// Where the next character begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.take();
        }
    }

    /// The next token; white space before it is skipped.
    pub(super) fn scan(&mut self) -> Token<'a> {
        self.take_while(char::is_whitespace);
        let start = self.at;
        let kind = match self.take() {
            None => Kind::End,
            Some('\0') => Kind::Illegal("unexpected null"),
            Some(char::REPLACEMENT_CHARACTER) => Kind::Illegal("rune error"),
            Some(quote @ ('"' | '/' | '|')) => self.finish_quoted(quote),
            Some(',' | '.') => {
                self.wants_value = false;
                Kind::Separator
            }
            Some(c) if is_operator(c) => {
                self.take_while(is_operator);
                self.wants_value = true;
                Kind::Operator
            }
            Some(_) if self.wants_value => {
                self.take_while(|c| c != ',' && !c.is_whitespace() && !c.is_control());
                self.wants_value = false;
                Kind::Value
            }
            Some(c) if is_field(c) => {
                self.take_while(is_field);
                Kind::Field
            }
            Some(_) => Kind::Other,
        };
        Token { kind, start, text: &self.input[start..self.at] }
    }

    /// Takes a quoted text up to its closing quote, checking the form of its escapes.
    fn finish_quoted(&mut self, quote: char) -> Kind {
        loop {
            match self.take() {
                None | Some('\n') => return Kind::Illegal(NOT_TERMINATED),
                Some('\\') => {
                    if let Err(mistake) = self.finish_escape(quote) {
                        return Kind::Illegal(mistake);
                    }
                }
                Some(c) if c == quote => return Kind::Quoted,
                Some(_) => {}
            }
        }
    }

    fn finish_escape(&mut self, quote: char) -> Result<(), &'static str> {
        let (base, digits) = match self.peek() {
            Some(c @ '0'..='7') if c != quote => (8, 3),
            Some('x') => (16, 2),
            Some('u') => (16, 4),
            Some('U') => (16, 8),
            Some(c) if "abfnrtv\\".contains(c) || c == quote => {
                self.take();
                return Ok(());
            }
            _ => return Err("illegal escape sequence"),
        };
        if base == 16 {
            self.take();
        }
        for _ in 0..digits {
            if !self.peek().is_some_and(|c| c.is_digit(base)) {
                return Err("illegal numeric escape sequence");
            }
            self.take();
        }
        Ok(())
    }
}

fn is_operator(c: char) -> bool {
    matches!(c, '=' | '!' | '~')
}

fn is_field(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}
