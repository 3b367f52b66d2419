//! The device list: rules in order, folded into one verdict and its exceptions.
//!
//! Version 1 writes the table line by line, version 2 compiles it. Like the kernel's own list a table has a default and
//! exceptions to it; a rule for every device sets the default and forgets the exceptions.

use super::error::{Error, Result};
use super::resources::{Access, DeviceKind, DeviceRule};

/// A default and the devices that are treated otherwise.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// What happens to a device without an exception.
    pub allow: bool,
    /// Devices with the access that is treated contrary to the default.
    pub exceptions: Vec<Exception>,
}

/// Devices treated contrary to the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    pub kind: DeviceKind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: Access,
}

impl Exception {
    fn same_devices(&self, other: &Exception) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }

    fn covers(&self, other: &Exception) -> bool {
        self.kind == other.kind
            && (self.major.is_none() || self.major == other.major)
            && (self.minor.is_none() || self.minor == other.minor)
    }

    /// The line for `devices.allow` and `devices.deny`.
    pub fn line(&self) -> String {
        let kind = match self.kind {
            DeviceKind::All => 'a',
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        format!("{kind} {}:{} {}", number(self.major), number(self.minor), self.access.letters())
    }
}

impl Table {
    /// Folds rules in order, starting from: everything denied.
    pub fn fold(rules: &[DeviceRule]) -> Result<Self> {
        let mut table = Self::default();
        for rule in rules {
            table.add(rule)?;
        }
        Ok(table)
    }

    fn add(&mut self, rule: &DeviceRule) -> Result<()> {
        if rule.kind == DeviceKind::All {
            *self = Self { allow: rule.allow, exceptions: Vec::new() };
            return Ok(());
        }
        let new = Exception { kind: rule.kind, major: rule.major, minor: rule.minor, access: rule.access };
        if rule.allow == self.allow { self.take_back(&new) } else { self.except(new) }
    }

    fn except(&mut self, new: Exception) -> Result<()> {
        match self.exceptions.iter_mut().find(|old| old.same_devices(&new)) {
            Some(old) => old.access.0 |= new.access.0,
            None => self.exceptions.push(new),
        }
        Ok(())
    }

    fn take_back(&mut self, rule: &Exception) -> Result<()> {
        let wider = |old: &&Exception| {
            !old.same_devices(rule) && old.covers(rule) && old.access.0 & rule.access.0 != 0
        };
        if let Some(old) = self.exceptions.iter().find(wider) {
            return Err(Error::invalid(format!(
                "requested rule [{}] not supported: cannot punch hole in existing wildcard rule [{}]",
                rule.line(),
                old.line()
            )));
        }
        for old in self.exceptions.iter_mut().filter(|old| old.same_devices(rule)) {
            old.access.0 &= !rule.access.0;
        }
        self.exceptions.retain(|old| old.access.0 != 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> DeviceRule {
        let word: Vec<&str> = text.split(' ').collect();
        let number = |n: &str| n.parse().ok();
        let kind = match word[1] {
            "a" => DeviceKind::All,
            "b" => DeviceKind::Block,
            _ => DeviceKind::Char,
        };
        let (major, minor) = word[2].split_once(':').unwrap();
        DeviceRule {
            allow: word[0] == "allow",
            kind,
            major: number(major),
            minor: number(minor),
            access: Access::parse(word[3]).unwrap(),
        }
    }

    fn show(rules: &[&str]) -> String {
        let rules: Vec<DeviceRule> = rules.iter().map(|r| rule(r)).collect();
        match Table::fold(&rules) {
            Ok(table) => {
                let lines: Vec<String> = table.exceptions.iter().map(Exception::line).collect();
                format!("{} {}", if table.allow { "allow" } else { "deny" }, lines.join(", "))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn rules_fold_in_order() {
        let table: &[(&[&str], &str)] = &[
            (&[], "deny "),
            (&["deny a *:* rwm", "allow c 1:3 rw", "allow c 1:3 m"], "deny c 1:3 rwm"),
            (&["allow c 1:3 rwm", "deny c 1:3 w"], "deny c 1:3 rm"),
            (&["allow c 1:3 r", "deny c 1:3 rwm"], "deny "),
            (&["allow c 1:3 r", "allow a *:* rwm"], "allow "),
            (&["allow a *:* rwm", "deny b 8:* w", "allow c 1:1 r"], "allow b 8:* w"),
            (&["allow c *:* m", "deny c 1:3 rw"], "deny c *:* m"),
        ];
        for (rules, expected) in table {
            assert_eq!(show(rules), *expected, "{rules:?}");
        }
        assert!(show(&["allow c *:* m", "deny c 1:3 m"]).contains("cannot punch hole"));
    }
}
