//! `gantry snapshots mounts`, and mounts as text.

use crate::{Context, Output, output};
use anyhow::{Result, ensure};
use model::Mount;
use model::snapshots::Snapshotter;
use std::path::Path;

/// Print the commands that mount a snapshot.
#[derive(Debug, clap::Args)]
pub struct Mounts {
    /// Not supported: let the daemon mount it and print a bind mount.
    #[arg(long)]
    temp: bool,
    /// The directory to mount on.
    target: String,
    /// The snapshot's key.
    key: String,
}

/// A mount in `ctr`'s JSON.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    r#type: &'a str,
    source: &'a str,
    target: &'a str,
    options: &'a [String],
}

impl<'a> From<&'a Mount> for Shown<'a> {
    fn from(Mount { kind, source, target, options }: &'a Mount) -> Self {
        Self { r#type: kind, source, target, options }
    }
}

impl Mounts {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        ensure!(!self.temp, "--temp is not supported: leave it out and run the commands that are printed");
        let mounts = snapshots.mounts(&cx.scope, &self.key).await?;
        match cx.output {
            Output::Table => print_commands(&mounts, &self.target)?,
            Output::Json => print_json(&mounts)?,
        }
        Ok(0)
    }
}

/// Prints one `mount` command each.
pub(super) fn print_commands(mounts: &[Mount], target: &str) -> Result<()> {
    mounts.iter().try_for_each(|mount| output::line(command(mount, target)))
}

/// Prints them in `ctr`'s JSON.
pub(super) fn print_json(mounts: &[Mount]) -> Result<()> {
    output::json(&mounts.iter().map(Shown::from).collect::<Vec<_>>())
}

fn command(mount: &Mount, target: &str) -> String {
    let below = mount.target.trim_start_matches('/');
    let target = match below.is_empty() {
        true => target.to_owned(),
        false => Path::new(target).join(below).display().to_string(),
    };
    let command = format!("mount -t {} {} {target}", mount.kind, mount.source);
    match mount.options.is_empty() {
        true => command,
        false => format!("{command} -o {}", mount.options.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let bind = |target: &str, options: &[&str]| Mount {
            kind: "bind".into(),
            source: "/a".into(),
            target: target.into(),
            options: options.iter().map(|o| (*o).into()).collect(),
        };
        assert_eq!(command(&bind("", &["ro", "rbind"]), "/mnt"), "mount -t bind /a /mnt -o ro,rbind");
        assert_eq!(command(&bind("/x", &[]), "/mnt"), "mount -t bind /a /mnt/x");
    }
}
