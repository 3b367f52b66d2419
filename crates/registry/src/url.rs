//! Just enough of URLs: queries to append, locations to resolve.

use http::Uri;
use std::fmt::Write;

/// A text as part of a query, everything unusual escaped.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            _ => write!(escaped, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    escaped
}

/// The same text with one more query parameter.
pub fn with_query(url: &str, key: &str, value: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{key}={}", escape(value))
}

/// What a `Location` means, seen from the request that was answered with it. `None` for what is no HTTP location.
pub fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let location = clean(location.split('#').next().unwrap_or_default());
    let scheme = from.scheme_str()?;
    let authority = from.authority()?.as_str();
    let absolute = if location.starts_with("http://") || location.starts_with("https://") {
        location
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", from.path())
    } else if location.split(['/', '?']).next().is_some_and(|word| word.contains(':')) {
        return None;
    } else {
        let directory = from.path().rsplit_once('/').map_or("", |(directory, _)| directory);
        format!("{scheme}://{authority}{directory}/{location}")
    };
    absolute.parse().ok()
}

/// Escapes what no URL may hold, and leaves the rest as it is.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for byte in text.trim().bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=31 | 127.. => {
                write!(cleaned, "%{byte:02X}").expect("a String takes everything");
            }
            _ => cleaned.push(byte as char),
        }
    }
    cleaned
}

/// Whether two URLs are served by the same host and port over the same scheme.
pub fn same_origin(a: &Uri, b: &Uri) -> bool {
    a.scheme() == b.scheme() && host_port(a) == host_port(b)
}

fn host_port(url: &Uri) -> (Option<String>, u16) {
    let default = if url.scheme_str() == Some("http") { 80 } else { 443 };
    (url.host().map(str::to_ascii_lowercase), url.port_u16().unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let from: Uri = "https://h:5000/v2/a/blobs/uploads/?x=1".parse().expect("a URL");
        for (location, expected) in [
            ("http://other/x", Some("http://other/x")),
            ("//other/x", Some("https://other/x")),
            ("/v2/y?z=1", Some("https://h:5000/v2/y?z=1")),
            ("next", Some("https://h:5000/v2/a/blobs/uploads/next")),
            ("?a=b", Some("https://h:5000/v2/a/blobs/uploads/?a=b")),
            ("https://o/a b|c#frag", Some("https://o/a%20b%7Cc")),
            ("ftp://o/x", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(resolve(&from, location).map(|u| u.to_string()).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn queries() {
        assert_eq!(with_query("http://h/p", "ns", "a:1/b"), "http://h/p?ns=a%3A1%2Fb");
        assert_eq!(with_query("http://h/p?x", "d", "sha256:0"), "http://h/p?x&d=sha256%3A0");
        let origin = |a: &str, b: &str| same_origin(&a.parse().expect("URL"), &b.parse().expect("URL"));
        assert!(origin("https://H/x", "https://h:443/y") && !origin("https://h/x", "https://h:444/x"));
        assert!(!origin("http://h/", "https://h/"));
    }
}
