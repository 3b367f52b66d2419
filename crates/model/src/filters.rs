//! Filters: the small language in which clients say which objects they want.
//!
//! A list of filters matches what any of them matches; an empty list matches everything. One filter is a comma list of
//! selectors, all of which must hold: `labels."a/b"==c,id~=^web`. The empty text matches everything.
//!
//! ```text
//! filter    := "" | selector ("," selector)*
//! selector  := fieldpath [operator value]
//! fieldpath := field ("." field)*
//! field     := quoted | [A-Za-z0-9_]+
//! operator  := "==" | "!=" | "~="
//! value     := quoted | printable characters without space and comma
//! quoted    := "…" anywhere; /…/ and |…| as the value of ~= only
//! ```
//!
//! Without an operator a selector asks whether the field is present. An absent field counts as the empty text for `!=`
//! and `~=`. `~=` is an unanchored search; an expression that does not compile never matches.

mod parse;
mod quote;
mod scanner;

use crate::{Error, Labels, Result};
use regex::Regex;
use std::borrow::Cow;

/// Something whose fields a filter can look at.
pub trait Fields {
    /// The value at a path of field names; `None` when it is absent.
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>>;
}

/// The label at the rest of a path: its components joined by dots are the key. A bare `labels` is never present.
pub fn label<'a>(labels: &'a Labels, path: &[&str]) -> Option<Cow<'a, str>> {
    let found = match path {
        [] => None,
        [key] => labels.get(*key),
        _ => labels.get(&path.join(".")),
    };
    found.map(|value| Cow::Borrowed(value.as_str()))
}

/// A text field that is absent when it is empty.
pub fn text(value: &str) -> Option<Cow<'_, str>> {
    (!value.is_empty()).then_some(Cow::Borrowed(value))
}

/// A parsed list of filters.
#[derive(Debug, Default)]
pub struct Filters(Vec<Filter>);

/// One filter: selectors that must all hold.
#[derive(Debug, Default)]
struct Filter(Vec<Selector>);

#[derive(Debug)]
struct Selector {
    path: Vec<String>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Present,
    Equal(String),
    NotEqual(String),
    /// `None` when the expression does not compile.
    Matches(Option<Regex>),
}

impl Filters {
    /// Parses a list of filters.
    ///
    /// # Errors
    /// `InvalidArgument` with the place of the first mistake: `filters: parse error: [a >|=|< b]: …: invalid argument`.
    pub fn parse(filters: &[String]) -> Result<Self> {
        let parsed: Result<Vec<Filter>> = filters
            .iter()
            .map(|text| match text.as_str() {
                "" => Ok(Filter::default()),
                text => parse::filter(text).map_err(|mistake| Error::invalid(mistake.describe(text))),
            })
            .collect();
        parsed.map(Self)
    }

    /// Whether any filter matches, or there is none.
    pub fn matches(&self, object: &dyn Fields) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|filter| filter.0.iter().all(|selector| selector.matches(object)))
    }

    /// Whether there is no filter, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Selector {
    fn matches(&self, object: &dyn Fields) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let value = object.field(&path);
        match &self.test {
            Test::Present => value.is_some(),
            Test::Equal(wanted) => value.is_some_and(|v| v == wanted.as_str()),
            Test::NotEqual(other) => value.unwrap_or_default() != other.as_str(),
            Test::Matches(regex) => regex.as_ref().is_some_and(|r| r.is_match(&value.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Object(Labels);

    impl Fields for Object {
        fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
            match path {
                ["id", ..] => Some(Cow::Borrowed("c1")),
                ["image", ..] => text("docker.io/library/busybox:1"),
                ["labels", rest @ ..] => label(&self.0, rest),
                _ => None,
            }
        }
    }

    fn object() -> Object {
        let labels = [("a", "1"), ("a.b", "2"), ("x/y", "z"), ("quote", "say \"hi\"")];
        Object(labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    fn matches(filter: &str) -> bool {
        Filters::parse(&[filter.to_owned()]).unwrap_or_else(|e| panic!("{filter}: {e}")).matches(&object())
    }

    #[test]
    fn selects() {
        let yes = [
            "",
            "id",
            "id==c1",
            "id.x==c1",
            "\"id\"==c1",
            "id == c1",
            " id==c1",
            "id==c1, labels.a==1",
            "id!=c2",
            "bogus!=x",
            "labels.none~=/.*/",
            "labels.none!=x",
            "labels.a.b==2",
            "labels.\"x/y\"==z",
            "labels.\"x/y\"",
            "image~=busybox",
            "image~=^docker",
            "image~=/busybox:\\\\d/",
            "image~=|lib.ary|",
            "labels.quote==\"say \\\"hi\\\"\"",
            "id==\"\\x63\\u0031\"",
            "id==\"\\143\\061\"",
            "image==docker.io/library/busybox:1",
        ];
        for filter in yes {
            assert!(matches(filter), "{filter} should match");
        }
        let no = [
            "id==c2",
            "labels",
            "bogus",
            "bogus==x",
            "labels.none!=\"\"",
            "labels.none==\"\"",
            "id~=[",
            "id==c1,labels.a==2",
            "id!=c1",
            "id~=C1",
            "labels.none",
        ];
        for filter in no {
            assert!(!matches(filter), "{filter} should not match");
        }
    }

    #[test]
    fn any_of_a_list() {
        let list = |fs: &[&str]| {
            Filters::parse(&fs.iter().map(|f| f.to_string()).collect::<Vec<_>>())
                .map(|f| f.matches(&object()))
        };
        assert!(list(&[]).expect("no filter"));
        assert!(list(&["id==no", "id==c1"]).expect("two"));
        assert!(!list(&["id==no", "id==nono"]).expect("two"));
        let first = list(&["a==", "b=c"]).expect_err("both are wrong");
        assert_eq!(first.text(), "filters: parse error: [a==]: expected value or quoted: invalid argument");
    }

    #[test]
    fn names_the_mistake_and_its_place() {
        let operator = "expected an operator (\"==\"|\"!=\"|\"~=\")";
        let table: &[(&str, &str)] = &[
            ("  ", "[  ]: expected field or quoted"),
            (",", "[ >|,|< ]: expected field or quoted"),
            ("id==c1,", "[id==c1,]: expected field or quoted"),
            ("id.", "[id.]: expected field or quoted"),
            ("id ", &format!("[id ]: {operator}")),
            ("id x", &format!("[id  >|x|< ]: {operator}")),
            ("id@", &format!("[id >|@|< ]: {operator}")),
            ("id=c1", "[id >|=|< c1]: unsupported operator \"=\""),
            ("id====c1", "[id >|=|< ===c1]: unsupported operator \"====\""),
            ("id==", "[id==]: expected value or quoted"),
            ("id==,", "[id== >|,|< ]: expected value or quoted"),
            ("id==c1 ", "[id==c1 >| |< ]: unexpected input:  "),
            ("id==c1 ,a", "[id==c1 >| |< ,a]: unexpected input:  "),
            ("id==\"c1\"x", "[id==\"c1\" >|x|< ]: unexpected input: x"),
            ("id==\"c1", "[id== >|\"|< c1]: quoted literal not terminated"),
            ("topic==/tasks/create", "[topic== >|/|< tasks/create]: invalid quote encountered"),
            ("labels.a/b==c", &format!("[labels.a >|/|< b==c]: {}", "quoted literal not terminated")),
            ("|id|==c", "[ >|||< id|==c]: invalid quote encountered"),
            ("id~=/\\d/", "[id~= >|/|< \\d/]: illegal escape sequence"),
            ("id==\"\\xz\"", "[id== >|\"|< \\xz\"]: illegal numeric escape sequence"),
            ("ä==x", "[ >|\u{fffd}|< \u{fffd}==x]: expected field or quoted"),
        ];
        for (filter, text) in table {
            let error = Filters::parse(&[filter.to_string()]).expect_err(filter);
            assert_eq!(
                error.text(),
                format!("filters: parse error: {text}: invalid argument"),
                "for {filter:?}"
            );
        }
    }
}
