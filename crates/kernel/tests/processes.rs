//! Processes, seen from a program with one thread: the example `probe`, which `cargo test -p kernel` builds along.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::io::Read;
use std::process::{Command, Stdio};

use kernel::pidfd;
use kernel::process::set_death_signal;

fn probe(arguments: &[&str]) -> Command {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("examples/probe");
    assert!(program.exists(), "build it with: cargo test -p kernel --examples");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn said(verb: &str) -> String {
    let output = probe(&[verb]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn clones_have_their_own_namespaces() {
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(said("clone"), "41\n255\nown\n");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn threads_forbid_clones() {
    assert_eq!(said("threads"), "clone a process that has threads: device or resource busy\n");
}

#[test]
fn capabilities_are_kept_only_as_asked() {
    let (both, one) = ("0000000000000021", "0000000000000020");
    let expected =
        format!("CapInh:{one}\nCapPrm:{both}\nCapEff:{one}\nCapBnd:{both}\nCapAmb:{one}\nNoNewPrivs:1\n");
    assert_eq!(said("capabilities"), expected);
}

#[test]
fn descriptors_are_closed_around_the_kept_ones() {
    assert_eq!(said("close"), "true\n");
}

#[test]
fn a_sealed_program_cannot_be_written_through_proc_cve_2019_5736() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("busybox");
    std::fs::copy("/bin/busybox", &program).unwrap();
    for (sealed, refused) in [(true, true), (false, false)] {
        let words = [program.to_str().unwrap(), "cat"];
        let mut command = if sealed {
            probe(&[&["sealed"], &words[..]].concat())
        } else {
            let mut plain = Command::new(words[0]);
            plain.arg(words[1]);
            plain
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"x").unwrap();
        // It answers, so it has been executed.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let image = std::fs::File::open(format!("/proc/{}/exe", child.id())).unwrap();
        let end = pidfd::open(child.id() as i32).unwrap();
        pidfd::kill(&end, libc::SIGKILL).unwrap();
        child.wait().unwrap();
        let again = kernel::path::descriptor_path(&image);
        let error = std::fs::OpenOptions::new().write(true).open(&again).err();
        assert_eq!(error.is_some_and(|error| error.raw_os_error() == Some(libc::EROFS)), refused);
    }
}

/// For a child that asks too late the signal would never come.
#[test]
fn a_parent_that_has_ended_is_noticed() {
    let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    set_death_signal(0, parent).unwrap();
    let error = set_death_signal(0, std::process::id() as i32).unwrap_err();
    assert_eq!(error.errno(), kernel::Errno::SRCH);
}
