//! Quoted texts: `"…"`, and `/…/` or `|…|` where a regular expression is expected.

/// Which quotes may stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Only `"`.
    Plain,
    /// Also `/` and `|`.
    Any,
}

/// The text inside of a literal whose escapes the scanner has found well-formed.
pub(super) fn unquote(literal: &str, allowed: Allowed) -> Result<String, &'static str> {
    if allowed == Allowed::Plain && !literal.starts_with('"') {
        return Err("invalid quote encountered");
    }
    let inner = &literal[1..literal.len() - 1];
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c == '\\' {
            unescape(&mut rest, &mut bytes).ok_or("unquoting failed: invalid syntax")?;
        } else {
            push(&mut bytes, c);
        }
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Reads one escape after its backslash: octal and `\x` make bytes, `\u` and `\U` characters.
fn unescape(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let first = rest.next()?;
    match first {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0c),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0b),
        'x' => bytes.push(u8::try_from(number(rest, 2, 16)?).ok()?),
        'u' => push(bytes, char::from_u32(number(rest, 4, 16)?)?),
        'U' => push(bytes, char::from_u32(number(rest, 8, 16)?)?),
        '0'..='7' => {
            let value = first.to_digit(8)? * 64 + number(rest, 2, 8)?;
            bytes.push(u8::try_from(value).ok()?);
        }
        other => push(bytes, other),
    }
    Some(())
}

fn number(rest: &mut std::str::Chars<'_>, digits: usize, base: u32) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..digits {
        value = value.checked_mul(base)?.checked_add(rest.next()?.to_digit(base)?)?;
    }
    Some(value)
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
