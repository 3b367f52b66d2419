//! What flags say of a registry's TLS, as a directory of hosts.toml for the daemon, which is on this machine.
//!
//! The directory is made for one transfer and taken away after it.

use crate::context;
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Flags about TLS.
#[derive(Debug, Default, clap::Args)]
pub struct Tls {
    /// Believe any certificate.
    #[arg(long, short = 'k')]
    skip_verify: bool,
    /// An authority's certificate to believe.
    #[arg(long)]
    tlscacert: Option<PathBuf>,
    /// The certificate to show.
    #[arg(long, requires = "tlskey")]
    tlscert: Option<PathBuf>,
    /// Its key.
    #[arg(long, requires = "tlscert")]
    tlskey: Option<PathBuf>,
}

/// A directory that is not there yet.
pub struct Hosts {
    dir: PathBuf,
    text: String,
}

impl Tls {
    /// The directory that says what the flags say; none if they say nothing.
    ///
    /// # Errors
    /// A file that is not there.
    pub fn hosts(&self) -> Result<Option<Hosts>> {
        let mut text = String::new();
        // Who names an authority means it, also for this machine, which is believed otherwise.
        if self.skip_verify || self.tlscacert.is_some() {
            let _ = writeln!(text, "skip_verify = {}", self.skip_verify);
        }
        if let Some(ca) = &self.tlscacert {
            let _ = writeln!(text, "ca = {}", quoted(ca)?);
        }
        if let (Some(certificate), Some(key)) = (&self.tlscert, &self.tlskey) {
            let _ = writeln!(text, "client = [[{}, {}]]", quoted(certificate)?, quoted(key)?);
        }
        let dir = std::env::temp_dir().join(format!("gantry-hosts-{}", context::unique()));
        Ok((!text.is_empty()).then_some(Hosts { dir, text }))
    }
}

impl Hosts {
    /// Where it will be.
    pub fn dir(&self) -> String {
        self.dir.to_string_lossy().into_owned()
    }

    /// Makes it.
    ///
    /// # Errors
    /// The directory for temporary files cannot be written.
    pub fn make(&self) -> Result<()> {
        let making = || format!("make {}", self.dir.display());
        DirBuilder::new().mode(0o700).create(&self.dir).with_context(making)?;
        let of_all = self.dir.join("_default");
        fs::create_dir(&of_all).with_context(making)?;
        fs::write(of_all.join("hosts.toml"), &self.text).with_context(making)
    }

    /// Takes it away.
    ///
    /// # Errors
    /// Somebody else is in it.
    pub fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.dir).with_context(|| format!("remove {}", self.dir.display()))
    }
}

/// A file's whole path as a TOML string. JSON's strings are such.
fn quoted(path: &Path) -> Result<String> {
    let whole = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
    match whole.to_str() {
        Some(text) => Ok(serde_json::to_string(text)?),
        None => bail!("{} is no text; a hosts.toml cannot name it", whole.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_a_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let ca = dir.path().join("the \"ca\"");
        fs::write(&ca, "").expect("write");
        let flags = Tls { skip_verify: true, tlscacert: Some(ca), ..Tls::default() };
        let hosts = flags.hosts().expect("files are there").expect("something is said");
        hosts.make().expect("make");
        let file = Path::new(&hosts.dir()).join("_default/hosts.toml");
        let text = fs::read_to_string(file).expect("read");
        assert!(
            text.starts_with("skip_verify = true\nca = \"/") && text.ends_with("the \\\"ca\\\"\"\n"),
            "{text}"
        );
        hosts.remove().expect("remove");
        assert!(!Path::new(&hosts.dir()).exists());
        assert!(Tls::default().hosts().expect("no files").is_none());
        let absent = Tls { tlscacert: Some("/absent/ca".into()), ..Tls::default() };
        assert!(absent.hosts().is_err());
    }
}
