//! The Debian packages the tests need, installed when they are missing.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::run;

/// A package and the file that shows it is there.
struct Package {
    name: &'static str,
    file: &'static str,
}

const fn package(name: &'static str, file: &'static str) -> Package {
    Package { name, file }
}

/// What the tests need. `golang` is left out where a `go` is in PATH. Zsh and fish are not asked for: where they are, they
/// read their completion scripts.
const PACKAGES: [Package; 15] = [
    package("busybox-static", "/usr/share/doc/busybox-static/copyright"),
    package("bsdutils", "/usr/bin/script"),
    package("containerd", "/usr/bin/containerd"),
    package("containernetworking-plugins", "/usr/lib/cni/bridge"),
    package("crun", "/usr/bin/crun"),
    package("docker-registry", "/usr/bin/docker-registry"),
    package("e2fsprogs", "/sbin/mke2fs"),
    package("groff-base", "/usr/bin/groff"),
    package("libseccomp-dev", "/usr/include/seccomp.h"),
    package("openssl", "/usr/bin/openssl"),
    package("pkg-config", "/usr/bin/pkg-config"),
    package("runc", "/usr/sbin/runc"),
    package("skopeo", "/usr/bin/skopeo"),
    package("umoci", "/usr/bin/umoci"),
    package("gcc", "/usr/bin/cc"),
];

/// What only the test machine needs.
const EMULATOR: [Package; 1] = [package("qemu-system-x86", "/usr/bin/qemu-system-x86_64")];

/// Installs what the test machine needs. Errors as [`install`].
pub fn install_emulator() -> Result<()> {
    install_all(missing(&EMULATOR))
}

/// Installs what is missing. Errors: not root, or no `apt-get` where something is missing.
pub fn install() -> Result<()> {
    let mut names = missing(&PACKAGES);
    if !found("go") {
        names.push("golang");
    }
    install_all(names)
}

fn missing(packages: &[Package]) -> Vec<&'static str> {
    packages.iter().filter(|p| !std::path::Path::new(p.file).exists()).map(|p| p.name).collect()
}

fn install_all(missing: Vec<&str>) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    if !found("apt-get") {
        bail!("the tests need these Debian packages or their like: {}", missing.join(" "));
    }
    run(apt().arg("update")).context("apt-get update")?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(&missing))
        .with_context(|| format!("install {}", missing.join(" ")))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // A daemon that a package brings must not start by itself.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").arg("--quiet").stdin(Stdio::null());
    command
}

/// Whether a program is in PATH.
pub fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
