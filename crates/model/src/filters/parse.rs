//! Puts the tokens of a filter together to selectors.

use super::scanner::{Kind, Scanner, Token};
use super::{Filter, Selector, Test, quote};
use regex::Regex;

/// What is wrong with a filter, and at which byte.
pub(super) struct Mistake {
    at: usize,
    message: String,
}

impl Mistake {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// The mistake shown in its filter, the byte at fault between `>|` and `|<`.
    pub(super) fn describe(&self, filter: &str) -> String {
        let bytes = filter.as_bytes();
        let lossy = |range: &[u8]| String::from_utf8_lossy(range).into_owned();
        let place = match bytes.get(self.at) {
            Some(c) => {
                let (before, after) = (lossy(&bytes[..self.at]), lossy(&bytes[self.at + 1..]));
                format!("{before} >|{}|< {after}", lossy(&[*c]))
            }
            None => filter.to_owned(),
        };
        format!("filters: parse error: [{place}]: {}", self.message)
    }
}

type Parsed<T> = Result<T, Mistake>;

/// Parses one filter, which is not empty.
pub(super) fn filter(text: &str) -> Parsed<Filter> {
    let mut scanner = Scanner::new(text);
    let mut selectors = vec![selector(&mut scanner)?];
    loop {
        match scanner.peek() {
            None => return Ok(Filter(selectors)),
            Some(',') => {
                scanner.scan();
                selectors.push(selector(&mut scanner)?);
            }
            Some(other) => {
                return Err(Mistake::new(scanner.position(), format!("unexpected input: {other}")));
            }
        }
    }
}

fn selector(scanner: &mut Scanner<'_>) -> Parsed<Selector> {
    let path = field_path(scanner)?;
    if matches!(scanner.peek(), None | Some(',')) {
        return Ok(Selector { path, test: Test::Present });
    }
    let operator = scanner.scan();
    match operator.kind {
        Kind::Operator => {}
        Kind::Illegal(message) => return Err(Mistake::new(operator.start, message)),
        _ => return Err(Mistake::new(operator.start, "expected an operator (\"==\"|\"!=\"|\"~=\")")),
    }
    let test = match operator.text {
        "==" => Test::Equal(value(scanner, quote::Allowed::Plain)?),
        "!=" => Test::NotEqual(value(scanner, quote::Allowed::Plain)?),
        "~=" => Test::Matches(Regex::new(&value(scanner, quote::Allowed::Any)?).ok()),
        other => return Err(Mistake::new(operator.start, format!("unsupported operator {other:?}"))),
    };
    Ok(Selector { path, test })
}

fn field_path(scanner: &mut Scanner<'_>) -> Parsed<Vec<String>> {
    let mut path = vec![field(scanner)?];
    while scanner.peek() == Some('.') {
        scanner.scan();
        path.push(field(scanner)?);
    }
    Ok(path)
}

fn field(scanner: &mut Scanner<'_>) -> Parsed<String> {
    let token = scanner.scan();
    match token.kind {
        Kind::Field => Ok(token.text.to_owned()),
        Kind::Quoted => unquote(token, quote::Allowed::Plain),
        Kind::Illegal(message) => Err(Mistake::new(token.start, message)),
        _ => Err(Mistake::new(token.start, "expected field or quoted")),
    }
}

fn value(scanner: &mut Scanner<'_>, quotes: quote::Allowed) -> Parsed<String> {
    let token = scanner.scan();
    match token.kind {
        Kind::Value | Kind::Field => Ok(token.text.to_owned()),
        Kind::Quoted => unquote(token, quotes),
        Kind::Illegal(message) => Err(Mistake::new(token.start, message)),
        _ => Err(Mistake::new(token.start, "expected value or quoted")),
    }
}

fn unquote(token: Token<'_>, quotes: quote::Allowed) -> Parsed<String> {
    quote::unquote(token.text, quotes).map_err(|message| Mistake::new(token.start, message))
}
