//! The command line of a shim: Go's flag syntax, one word for the action.

use std::path::PathBuf;

/// What the shim is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// No word: serve, with the listening socket as descriptor 3 or at `-socket`.
    #[default]
    Serve,
    /// Make or find a serving process and tell its address.
    Start,
    /// Clean up after a serving process that died.
    Delete,
}

/// A command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The word after the flags.
    pub action: Action,
    /// Namespace of the container.
    pub namespace: String,
    /// Id of the container.
    pub id: String,
    /// The daemon's gRPC address.
    pub address: String,
    /// Program that publishes events for shims without ttrpc; not used.
    pub publish_binary: String,
    /// Bundle directory; `delete` only.
    pub bundle: PathBuf,
    /// Path to serve at.
    pub socket: PathBuf,
    /// Log more.
    pub debug: bool,
    /// Print the version.
    pub version: bool,
    /// Print what the runtime can do.
    pub info: bool,
}

/// A command line that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// A flag without its value.
    #[error("flag needs an argument: -{0}")]
    Missing(String),
    /// A flag that is a switch with something else than true or false.
    #[error("invalid boolean value {value:?} for -{flag}")]
    Switch {
        /// The flag.
        flag: String,
        /// What was given.
        value: String,
    },
}

impl Flags {
    /// Reads a command line without the program's name. Words after the first that is no flag are not read.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Refused> {
        let mut flags = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(word) = arguments.next() {
            let Some(flag) = word.strip_prefix("--").or(word.strip_prefix('-')).filter(|f| !f.is_empty())
            else {
                flags.action = action(&word);
                break;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if let Some(switch) = flags.switch(name) {
                *switch = truth(name, value.as_deref().unwrap_or("true"))?;
                continue;
            }
            let value = value.or_else(|| arguments.next());
            flags.set(name, value)?;
        }
        Ok(flags)
    }

    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "debug" => Some(&mut self.debug),
            "v" | "version" => Some(&mut self.version),
            "info" => Some(&mut self.info),
            _ => None,
        }
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), Refused> {
        let known = ["namespace", "id", "address", "publish-binary", "bundle", "socket", "debug-socket"];
        if !known.contains(&name) {
            return Err(Refused::Unknown(name.to_owned()));
        }
        let value = value.ok_or_else(|| Refused::Missing(name.to_owned()))?;
        match name {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "publish-binary" => self.publish_binary = value,
            "bundle" => self.bundle = value.into(),
            "socket" => self.socket = value.into(),
            // There is nothing to profile behind a debug socket.
            _ => {}
        }
        Ok(())
    }
}

fn action(word: &str) -> Action {
    match word {
        "start" => Action::Start,
        "delete" => Action::Delete,
        _ => Action::Serve,
    }
}

fn truth(flag: &str, value: &str) -> Result<bool, Refused> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Refused::Switch { flag: flag.to_owned(), value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, Refused> {
        Flags::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_the_daemon_calls() {
        let flags = parse("-namespace k8s.io -address /run/c.sock -publish-binary /bin/c -id x -debug start")
            .expect("flags");
        let expected = Flags {
            action: Action::Start,
            namespace: "k8s.io".into(),
            id: "x".into(),
            address: "/run/c.sock".into(),
            publish_binary: "/bin/c".into(),
            debug: true,
            ..Flags::default()
        };
        assert_eq!(flags, expected);
        let flags = parse("--id=x -bundle /b delete --id=y").expect("flags");
        assert_eq!((flags.action, flags.id.as_str(), flags.bundle), (Action::Delete, "x", "/b".into()));
        assert!(parse("-v").expect("flags").version && parse("--version").expect("flags").version);
        assert!(parse("-info").expect("flags").info && !parse("-info=false").expect("flags").info);
    }

    #[test]
    fn refusals() {
        assert_eq!(parse("-nope x"), Err(Refused::Unknown("nope".into())));
        assert_eq!(parse("-id"), Err(Refused::Missing("id".into())));
        assert!(parse("-debug=maybe start").is_err());
    }
}
