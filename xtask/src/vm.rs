//! `cargo xtask vm`: tests on a machine with nothing but version 2 of control groups.
//!
//! The machine is qemu without hardware's help and Debian's kernel, which is only unpacked; its disk holds the programs
//! at the very paths they have here. Everything lies in `target/vm`. What runs there is [`RUNS`]; what it prints is
//! read like that of `cargo test`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::run::run as run_command;
use crate::workspace::{cargo, root, target};
use crate::{compat, filters, packages};

/// The package that leads to the newest kernel without drivers for real hardware.
const KERNEL: &str = "linux-image-cloud-amd64";

/// Drivers in the order in which they go in.
const DRIVERS: [&str; 8] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
    "drivers/block/loop.ko",
    "fs/overlayfs/overlay.ko",
];

/// Programs of this machine that the tests start.
const PROGRAMS: [&str; 3] = ["/usr/bin/script", "/usr/bin/timeout", "/usr/sbin/runc"];

/// Test programs, by the file they begin in, and what they are to run.
const RUNS: [(&str, &str); 5] = [
    ("crates/kernel/src/lib.rs", "cgroup --skip v1::tests --include-ignored"),
    (
        "crates/runtime/tests/containers/main.rs",
        "life:: errors::limits exec::a_process identity::groups mounts::control",
    ),
    ("crates/runtime/tests/cli.rs", ""),
    ("bin/gantry-shim/tests/shim/main.rs", "life:: whole:: --skip ::runc"),
    (
        "testing/e2e/tests/e2e/main.rs",
        "cgroups::with_gantry tasks::with_gantry::exec tasks::with_gantry::kill_all \
         tasks::with_ctr::a_task run::with_gantry::limits run::with_gantry::layers \
         restart::with_gantry::exits restart::with_gantry::a_shim \
         events::with_gantry::of_a_containers specs::with_gantry::no_such_command",
    ),
];

/// How many seconds the machine may be up.
const DEADLINE: &str = "900";

/// Why this machine cannot have the other one; `None` when it can.
pub fn refusal() -> Option<String> {
    if std::env::consts::ARCH != "x86_64" {
        return Some(format!("it is made for x86_64, this is {}", std::env::consts::ARCH));
    }
    let got = packages::install_emulator().and_then(|()| kernel().map(drop));
    got.err().map(|error| format!("{error:#}"))
}

/// Builds the machine, runs it, hands on every line it prints. Fails when it did not come to its own end.
pub fn run(dist: &Path, mut each: impl FnMut(&str)) -> Result<()> {
    let (kernel, initrd, disk) = (kernel()?, initrd()?, disk(dist)?);
    let mut child = qemu(&kernel, &initrd, &disk).spawn().context("start qemu-system-x86_64")?;
    let stdout = child.stdout.take().context("qemu's output")?;
    let mut end = String::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("read the machine's console")?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        println!("  {line}");
        each(line);
        if line.starts_with("vm: done ") {
            line.clone_into(&mut end);
        }
    }
    let status = child.wait().context("wait for qemu")?;
    ensure!(status.success() && !end.is_empty(), "the machine ended too early ({status})");
    ensure!(end.ends_with(", 0 failed"), "a test program failed: {end}");
    Ok(())
}

fn qemu(kernel: &Path, initrd: &Path, disk: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", DEADLINE, "qemu-system-x86_64"]);
    command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2560"]);
    command.args(["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    command.args(["-append", "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off"]);
    let drive = format!("file={},format=raw,if=virtio,snapshot=on,cache=unsafe", disk.display());
    command.arg("-drive").arg(drive).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn place() -> PathBuf {
    target().join("vm")
}

/// The kernel's own file, unpacked beside its drivers when it is not there yet.
fn kernel() -> Result<PathBuf> {
    let place = place().join("kernel");
    if let Ok(found) = one_in(&place.join("boot"), "vmlinuz-") {
        return Ok(found);
    }
    let depends = output(Command::new("apt-cache").args(["depends", "--important", KERNEL]))?;
    let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let name = name.with_context(|| format!("apt-cache knows no {KERNEL}"))?;
    fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
    let mut download = Command::new("apt-get");
    download.args(["-o", "APT::Sandbox::User=root", "--quiet", "download"]);
    run_command(download.arg(format!("linux-image-{name}")).current_dir(&place))?;
    let package = one_in(&place, "linux-image-")?;
    run_command(Command::new("dpkg").arg("-x").arg(&package).arg(&place))?;
    fs::remove_file(&package).with_context(|| format!("remove {}", package.display()))?;
    one_in(&place.join("boot"), "vmlinuz-")
}

/// The first file system: busybox, the drivers and the script that leads to the disk.
fn initrd() -> Result<PathBuf> {
    let tree = place().join("initrd");
    let archive = place().join("initrd.cpio");
    fresh(&tree)?;
    for dir in ["drivers", "dev", "disk"] {
        fs::create_dir(tree.join(dir))?;
    }
    let modules = one_in(&place().join("kernel/lib/modules"), "")?.join("kernel");
    let mut order = String::new();
    for driver in DRIVERS {
        let from = modules.join(driver);
        let name = driver.rsplit('/').next().unwrap_or(driver);
        fs::copy(&from, tree.join("drivers").join(name))
            .with_context(|| format!("copy {}", from.display()))?;
        order += &format!("{name}\n");
    }
    fs::write(tree.join("drivers/order"), order)?;
    copy(Path::new("/bin/busybox"), &tree.join("busybox"))?;
    copy(&root().join("testing/vm/initrd"), &tree.join("init"))?;
    let listed = Command::new("/bin/busybox").arg("find").current_dir(&tree).stdout(Stdio::piped()).spawn();
    let listed = listed.context("start busybox find")?.stdout.context("its output")?;
    let file = fs::File::create(&archive).with_context(|| format!("create {}", archive.display()))?;
    let mut cpio = Command::new("/bin/busybox");
    cpio.args(["cpio", "-o", "-H", "newc"]).current_dir(&tree).stdin(listed).stdout(file);
    run_command(&mut cpio)?;
    Ok(archive)
}

/// The disk: busybox, the programs to be tested, the tests, and the libraries of all of them.
fn disk(dist: &Path) -> Result<PathBuf> {
    let tree = place().join("disk");
    fresh(&tree)?;
    let empty = ["bin", "sbin", "proc", "sys", "dev", "tmp", "run", "root", "etc", "vm", "var/tmp"];
    empty.iter().try_for_each(|dir| fs::create_dir_all(tree.join(dir)))?;
    busybox(&tree)?;
    fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(tree.join("etc/group"), "root:x:0:\n")?;
    fs::write(tree.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    fs::write(tree.join("etc/hostname"), "vm\n")?;
    fs::write(tree.join("etc/resolv.conf"), "nameserver 127.0.0.1\n")?;
    let (tests, scenarios) = tests()?;
    let ours = ["gantryd", "gantry", "gantry-shim"].map(|name| dist.join(name));
    let compat = compat::run()?;
    let built = target().join("debug");
    let others = [
        compat.join("ctr"),
        compat.join("client"),
        built.join("gantry-shim"),
        built.join("examples/gantry-oci"),
    ];
    let programs = PROGRAMS.map(PathBuf::from);
    for program in ours.iter().chain(&others).chain(&programs).chain(&tests) {
        with_libraries(program, &tree)?;
    }
    // A test of the runtime has its example built first; here it is.
    let builder = below(&tree, Path::new(&cargo()));
    fs::create_dir_all(builder.parent().context("cargo lies in a folder")?)?;
    fs::write(&builder, "#!/bin/sh\n").with_context(|| format!("write {}", builder.display()))?;
    fs::set_permissions(&builder, fs::Permissions::from_mode(0o755))?;
    // The harness finds the build from its own folder.
    fs::create_dir_all(below(&tree, &root()).join("testing/e2e"))?;
    fs::write(tree.join("vm/scenarios"), scenarios)?;
    copy(&root().join("testing/vm/init"), &tree.join("vm/init"))?;
    let image = place().join("disk.ext4");
    let _ = fs::remove_file(&image);
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(&tree).arg(&image).arg("1536M");
    run_command(&mut make)?;
    Ok(image)
}

fn busybox(tree: &Path) -> Result<()> {
    copy(Path::new("/bin/busybox"), &tree.join("bin/busybox"))?;
    for name in output(Command::new("/bin/busybox").arg("--list"))?.lines().filter(|n| *n != "busybox") {
        symlink("busybox", tree.join("bin").join(name)).with_context(|| format!("link {name}"))?;
    }
    Ok(())
}

/// The test programs of [`RUNS`] and the lines that start them.
fn tests() -> Result<(Vec<PathBuf>, String)> {
    let mut command = Command::new(cargo());
    command.args(["test", "--workspace", "--locked", "--no-run", "--message-format", "json"]);
    let text = output(command.current_dir(root()).stderr(Stdio::inherit()))?;
    let built: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (mut programs, mut lines) = (Vec::new(), String::new());
    for (source, arguments) in RUNS {
        let source = root().join(source);
        let is = |m: &&Value| {
            m["profile"]["test"] == true && m["target"]["src_path"].as_str().map(Path::new) == Some(&source)
        };
        let program = built.iter().find(is).and_then(|m| m["executable"].as_str());
        let program = program.with_context(|| format!("cargo built no test of {}", source.display()))?;
        let listed = output(Command::new(program).args(["--list", "--format", "terse"]))?;
        filters::all_match(source.to_string_lossy().as_ref(), &listed, arguments)?;
        lines += &format!("{program} --color never --test-threads 3 {arguments}\n");
        programs.push(PathBuf::from(program));
    }
    Ok((programs, lines))
}

/// Copies a program to where it lies here, and the libraries it asks for.
fn with_libraries(program: &Path, tree: &Path) -> Result<()> {
    copy(program, &below(tree, program))?;
    // ldd fails for what is static, which needs nothing.
    let listed = Command::new("ldd").arg(program).stderr(Stdio::null()).output().context("start ldd")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for library in listed.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new) {
        let place = below(tree, library);
        if !place.exists() {
            copy(library, &place)?;
        }
    }
    Ok(())
}

/// Copies what a path leads to, with its mode.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("change {}", to.display()))
}

fn below(tree: &Path, path: &Path) -> PathBuf {
    tree.join(path.strip_prefix("/").unwrap_or(path))
}

/// An empty folder.
fn fresh(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display())),
    }
}

/// The only thing of a folder whose name begins so.
fn one_in(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut found = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(prefix));
    let entry = found.next().with_context(|| format!("no {prefix}… in {}", dir.display()))?;
    Ok(entry.path())
}

/// Standard output of a program that succeeds.
pub fn output(command: &mut Command) -> Result<String> {
    let line = e2e::program::line_of(command);
    let done = command.stdin(Stdio::null()).stdout(Stdio::piped()).output();
    let done = done.with_context(|| format!("start `{line}`"))?;
    if !done.status.success() {
        bail!("`{line}` failed ({}): {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
