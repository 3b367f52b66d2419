//! Who a container's process is: `name|uid[:group|gid]`, looked up in the root file system's own accounts.

use model::{Error, Result};

/// The text of `/etc/passwd` and `/etc/group` of a root file system; empty where there is none.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// `/etc/passwd`, see passwd(5).
    pub passwd: String,
    /// `/etc/group`, see group(5).
    pub group: String,
}

/// A resolved user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups, the primary one first.
    pub groups: Vec<u32>,
}

impl Accounts {
    /// Resolves `name`, `uid`, `name:group`, `uid:gid` and so on. A number without an entry is taken as it is, with
    /// group 0.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is not there or a number out of range, naming it.
    pub fn resolve(&self, text: &str) -> Result<User> {
        let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
        let number = parse_id("uid", user)?;
        let entry = lines(&self.passwd).find(|f| match number {
            Some(uid) => f.get(2) == Some(&uid.to_string().as_str()),
            None => f.first() == Some(&user),
        });
        let (uid, primary, name) = match (&entry, number) {
            (Some(f), _) => (field(f, 2)?, field(f, 3)?, f[0]),
            (None, Some(uid)) => (uid, 0, ""),
            (None, None) => {
                return Err(Error::invalid(format!("user {user:?} has no entry in the image's /etc/passwd")));
            }
        };
        let gid = match group {
            None => primary,
            Some(group) => self.group_id(group)?,
        };
        let mut groups = vec![gid];
        if group.is_none() && !name.is_empty() {
            groups.extend(self.memberships(name).filter(|g| *g != gid));
        }
        Ok(User { uid, gid, groups })
    }

    fn group_id(&self, group: &str) -> Result<u32> {
        if let Some(gid) = parse_id("gid", group)? {
            return Ok(gid);
        }
        match lines(&self.group).find(|f| f.first() == Some(&group)) {
            Some(f) => field(&f, 2),
            None => Err(Error::invalid(format!("group {group:?} has no entry in the image's /etc/group"))),
        }
    }

    fn memberships<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        lines(&self.group)
            .filter(move |f| f.get(3).is_some_and(|members| members.split(',').any(|m| m == name)))
            .filter_map(|f| f.get(2).and_then(|gid| gid.parse().ok()))
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

fn field(fields: &[&str], index: usize) -> Result<u32> {
    let text = fields.get(index).copied().unwrap_or_default();
    text.parse()
        .map_err(|_| Error::invalid(format!("{:?} in the image's accounts is no id", fields.join(":"))))
}

/// A number within the ids that containerd takes, or `None` for a name.
fn parse_id(what: &str, text: &str) -> Result<Option<u32>> {
    if text.is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if i32::try_from(id).is_ok() => Ok(Some(id)),
        _ => Err(Error::invalid(format!("{what} {text} is out of range"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_names_and_numbers() {
        let accounts = Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\n".into(),
            group: "root:x:0:\nbob:x:1001:\nwheel:x:10:root,bob\n".into(),
        };
        let user = |uid, gid, groups: &[u32]| User { uid, gid, groups: groups.into() };
        for (text, want) in [
            ("root", user(0, 0, &[0, 10])),
            ("bob", user(1000, 1001, &[1001, 10])),
            ("1000", user(1000, 1001, &[1001, 10])),
            ("1000:wheel", user(1000, 10, &[10])),
            ("4000", user(4000, 0, &[0])),
            ("4000:5000", user(4000, 5000, &[5000])),
        ] {
            assert_eq!(accounts.resolve(text).expect(text), want, "{text}");
        }
        for text in ["eve", "bob:eve", "", "4294967295", "1:", "99999999999"] {
            assert!(accounts.resolve(text).is_err(), "{text}");
        }
    }
}
