//! Flags as runc's command line has them: one or two dashes, a value after `=` or as the next word.

/// A flag of a verb.
pub(super) struct Flag {
    /// Long name first.
    pub names: &'static [&'static str],
    pub takes_value: bool,
    pub about: &'static str,
}

impl Flag {
    /// A flag that takes no value.
    pub const fn switch(names: &'static [&'static str], about: &'static str) -> Self {
        Self { names, takes_value: false, about }
    }

    /// A flag that takes a value and may be repeated.
    pub const fn value(names: &'static [&'static str], about: &'static str) -> Self {
        Self { names, takes_value: true, about }
    }
}

/// Where flags may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Before the first other word; what follows belongs to somebody else.
    FlagsFirst,
    /// Anywhere.
    Mixed,
}

/// How many words a verb wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Exactly(usize),
    AtLeast(usize),
    Between(usize, usize),
}

impl Count {
    /// What is wrong with `found` words.
    pub fn refuse(self, verb: &str, found: usize) -> Option<String> {
        let wrong = |wanted: &str| Some(format!("{}: {verb:?} requires {wanted} argument(s)", super::NAME));
        match self {
            Self::Exactly(count) if found != count => wrong(&format!("exactly {count}")),
            Self::AtLeast(count) | Self::Between(count, _) if found < count => {
                wrong(&format!("a minimum of {count}"))
            }
            Self::Between(_, count) if found > count => wrong(&format!("a maximum of {count}")),
            _ => None,
        }
    }
}

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Long name and value, in order; switches have the value `true`.
    flags: Vec<(&'static str, String)>,
    /// Words that are no flags.
    pub rest: Vec<String>,
}

impl Parsed {
    /// The last value given.
    pub fn value(&self, name: &'static str) -> Option<&str> {
        self.values(name).last()
    }

    /// All values given.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub fn has(&self, name: &'static str) -> bool {
        self.value(name) == Some("true")
    }

    /// The word at this place; empty beyond the last.
    pub fn word(&self, at: usize) -> &str {
        self.rest.get(at).map_or("", String::as_str)
    }

    /// A number given for a flag.
    pub fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, super::Failure> {
        let parse = |text: &str| {
            text.parse().map_err(|_| super::Failure::new(format!("invalid value {text:?} for flag -{name}")))
        };
        self.value(name).map(parse).transpose()
    }
}

/// Every verb has it.
const HELP: Flag = Flag::switch(&["help", "h"], "show help");

/// Splits arguments into flags and words.
pub(super) fn parse(flags: &[Flag], args: Vec<String>, order: Order) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let dashed = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'));
        match dashed {
            Some("") if arg == "--" => {
                parsed.rest.extend(args);
                break;
            }
            None | Some("") if order == Order::FlagsFirst => {
                parsed.rest.push(arg);
                parsed.rest.extend(args);
                break;
            }
            None | Some("") => parsed.rest.push(arg),
            Some(body) => {
                let (name, given) = match body.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (body, None),
                };
                let (name, value) =
                    read_flag(flags, name, given.or_else(|| next_value(flags, name, &mut args)))?;
                parsed.flags.push((name, value));
            }
        }
    }
    Ok(parsed)
}

/// The next word, if the flag takes one.
fn next_value(flags: &[Flag], name: &str, args: &mut impl Iterator<Item = String>) -> Option<String> {
    let takes_value = flags.iter().any(|flag| flag.takes_value && flag.names.contains(&name));
    if takes_value { args.next() } else { None }
}

fn read_flag(flags: &[Flag], name: &str, value: Option<String>) -> Result<(&'static str, String), String> {
    let mut known = flags.iter().chain([&HELP]);
    let flag = known
        .find(|flag| flag.names.contains(&name))
        .ok_or_else(|| format!("flag provided but not defined: -{name}"))?;
    let value = match (flag.takes_value, value.as_deref()) {
        (true, None) => return Err(format!("flag needs an argument: -{name}")),
        (true, Some(_)) => value.unwrap_or_default(),
        (false, None | Some("true" | "1" | "t" | "T" | "TRUE" | "True")) => "true".to_owned(),
        (false, Some("false" | "0" | "f" | "F" | "FALSE" | "False")) => "false".to_owned(),
        (false, Some(other)) => {
            return Err(format!("invalid boolean value {other:?} for -{name}: parse error"));
        }
    };
    Ok((flag.names[0], value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 2] = [Flag::switch(&["force", "f"], ""), Flag::value(&["bundle", "b"], "")];

    fn show(order: Order, args: &[&str]) -> String {
        match parse(&FLAGS, args.iter().map(|a| (*a).to_owned()).collect(), order) {
            Err(wrong) => wrong,
            Ok(parsed) => format!(
                "{} {} {}",
                parsed.has("force"),
                parsed.values("bundle").collect::<Vec<_>>().join("+"),
                parsed.rest.join(",")
            ),
        }
    }

    #[test]
    fn flags_and_words() {
        let table: [(&[&str], &str, &str); 12] = [
            (&[], "false  ", "false  "),
            (&["-f", "a"], "true  a", "true  a"),
            (&["--force=false", "-b", "x", "a"], "false x a", "false x a"),
            (&["-b=x", "--bundle", "y", "a"], "false x+y a", "false x+y a"),
            (&["a", "-f"], "false  a,-f", "true  a"),
            (&["a", "--", "-f"], "false  a,--,-f", "false  a,-f"),
            (&["--", "-f"], "false  -f", "false  -f"),
            (&["-", "-f"], "false  -,-f", "true  -"),
            (&["-x"], "flag provided but not defined: -x", "flag provided but not defined: -x"),
            (&["-b"], "flag needs an argument: -b", "flag needs an argument: -b"),
            (&["-b", "-f"], "false -f ", "false -f "),
            (
                &["-f=maybe"],
                "invalid boolean value \"maybe\" for -f: parse error",
                "invalid boolean value \"maybe\" for -f: parse error",
            ),
        ];
        for (args, first, mixed) in table {
            assert_eq!(show(Order::FlagsFirst, args), first, "{args:?}");
            assert_eq!(show(Order::Mixed, args), mixed, "{args:?}");
        }
    }

    #[test]
    fn counts() {
        let table = [
            (Count::Exactly(1), 1, None),
            (Count::Exactly(1), 0, Some("gantry-oci: \"x\" requires exactly 1 argument(s)")),
            (Count::AtLeast(1), 0, Some("gantry-oci: \"x\" requires a minimum of 1 argument(s)")),
            (Count::AtLeast(1), 9, None),
            (Count::Between(1, 2), 3, Some("gantry-oci: \"x\" requires a maximum of 2 argument(s)")),
        ];
        for (count, found, expected) in table {
            assert_eq!(count.refuse("x", found).as_deref(), expected);
        }
    }
}
