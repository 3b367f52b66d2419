//! The program of a process: its environment, its home, where its file is.

use std::collections::HashSet;
use std::path::Path;

use kernel::Errno;
use kernel::process::Program;
use rustix::fs::{Access, AtFlags, CWD};

use crate::{Error, Result};

/// The environment as the program gets it: of equal names the last counts, `HOME` is added where it is missing or
/// empty.
///
/// Must be called with the container's root, whose `/etc/passwd` tells the home.
pub(crate) fn environment(given: &[String], uid: u32) -> Result<Vec<String>> {
    let mut seen = HashSet::with_capacity(given.len());
    let mut kept = Vec::with_capacity(given.len() + 1);
    for entry in given.iter().rev() {
        let invalid = |why: &str| Error::invalid(format!("invalid environment variable: {why}"));
        let (name, _) = entry.split_once('=').ok_or_else(|| invalid("missing '='"))?;
        if name.is_empty() {
            return Err(invalid("name cannot be empty"));
        }
        if entry.contains('\0') {
            let text = format!("invalid environment variable {name:?}: contains nul byte (\\x00)");
            return Err(Error::invalid(text));
        }
        if seen.insert(name) {
            kept.push(entry.clone());
        }
    }
    kept.reverse();
    if !kept.iter().any(|entry| entry.starts_with("HOME=") && entry != "HOME=") {
        kept.retain(|entry| entry != "HOME=");
        kept.push(format!("HOME={}", home(uid)));
    }
    Ok(kept)
}

/// The home directory of a user of the container; `/` when it has none.
fn home(uid: u32) -> String {
    let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
    find_home(&String::from_utf8_lossy(&passwd), uid).unwrap_or("/").to_owned()
}

fn find_home(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.nth(2)?.parse::<u32>().ok()?;
        let home = fields.nth(2)?;
        (found == uid && !home.is_empty()).then_some(home)
    })
}

/// The program with the path of its file, found as `execvp` would, with the process's own rights.
pub(crate) fn find(args: &[String], environment: &[String]) -> Result<Program> {
    let name = args.first().ok_or_else(|| Error::invalid("args must not be empty"))?;
    let path = look_up(name, environment).map_err(|why| Error::unknown(format!("exec: {name:?}: {why}")))?;
    Ok(Program::new(path.as_bytes(), args, environment)?)
}

fn look_up(name: &str, environment: &[String]) -> std::result::Result<String, String> {
    const MISSING: &str = "executable file not found in $PATH";
    if name.contains('/') {
        return executable(name).map(|()| name.to_owned());
    }
    let path = environment.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    if name.is_empty() || path.is_empty() {
        return Err(MISSING.into());
    }
    for directory in path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = format!("{}/{name}", directory.trim_end_matches('/'));
        if executable(&candidate).is_ok() {
            return match Path::new(&candidate).is_absolute() {
                true => Ok(candidate),
                false => Err("cannot run executable found relative to current directory".into()),
            };
        }
    }
    Err(MISSING.into())
}

/// Whether the process may execute a file; if not, why.
fn executable(path: &str) -> std::result::Result<(), String> {
    let found =
        rustix::fs::stat(path).map_err(|errno| format!("stat {path}: {}", kernel::strerror(errno)))?;
    if rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir() {
        return Err("is a directory".into());
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(()),
        // Root may do everything, but only executes what has an x bit for somebody.
        Err(Errno::NOSYS | Errno::PERM) if found.st_mode & 0o111 != 0 => Ok(()),
        Err(errno) => Err(kernel::strerror(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|one| (*one).to_owned()).collect()
    }

    #[test]
    fn environments() {
        let env = environment(&strings(&["A=1", "B=2", "A=3", "HOME=/h"]), 0).unwrap();
        assert_eq!(env, ["B=2", "A=3", "HOME=/h"]);
        assert_eq!(environment(&strings(&["HOME=", "A=1"]), 4_000_000_000).unwrap(), ["A=1", "HOME=/"]);
        assert_eq!(environment(&[], 4_000_000_000).unwrap(), ["HOME=/"]);
        assert_eq!(environment(&strings(&["A=1"]), 4_000_000_000).unwrap(), ["A=1", "HOME=/"]);
        for bad in ["A", "=x", "A=\0"] {
            assert_eq!(environment(&strings(&[bad]), 0).unwrap_err().kind(), crate::Kind::Invalid);
        }
    }

    #[test]
    fn homes() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad\nu:x:7:7::/home/u:\nn:x:8:8:::\n";
        assert_eq!(find_home(passwd, 7), Some("/home/u"));
        assert_eq!(find_home(passwd, 8), None);
        assert_eq!(find_home(passwd, 9), None);
    }

    #[test]
    fn programs() {
        let env = strings(&["PATH=/nosuch:/bin"]);
        assert!(find(&strings(&["sh"]), &env).is_ok());
        for (name, expected) in [
            ("nosuch", r#"exec: "nosuch": executable file not found in $PATH"#),
            ("/no/such", r#"exec: "/no/such": stat /no/such: no such file or directory"#),
            ("/bin", r#"exec: "/bin": is a directory"#),
            ("/etc/passwd", r#"exec: "/etc/passwd": permission denied"#),
            ("", r#"exec: "": executable file not found in $PATH"#),
        ] {
            assert_eq!(find(&strings(&[name]), &env).unwrap_err().to_string(), expected);
        }
    }
}
