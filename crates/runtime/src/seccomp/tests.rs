//! Filters run in a small interpreter, and one on the kernel.

use oci::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};

use super::words::{ALLOW, KILL_THREAD, LOG, NO_SUCH_CALL, NOTIFY};
use super::*;

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;
const ARM: u32 = 0x4000_0028;
const X32: u32 = 0x4000_0000;

/// What the filter answers, and how many instructions that took.
fn run(program: &Program, (architecture, number): (u32, u32), arguments: &[u64]) -> (u32, usize) {
    let mut data = [0_u32; 16];
    (data[0], data[1]) = (number, architecture);
    for (at, argument) in arguments.iter().enumerate() {
        (data[4 + 2 * at], data[5 + 2 * at]) = (*argument as u32, (*argument >> 32) as u32);
    }
    let (mut at, mut word, mut steps) = (0, 0, 0);
    loop {
        let i: &[u8; 8] = program.code[at * 8..at * 8 + 8].try_into().unwrap();
        let (code, number) = (u16::from_ne_bytes([i[0], i[1]]), u32::from_ne_bytes([i[4], i[5], i[6], i[7]]));
        let jump = |taken: bool| usize::from(if taken { i[2] } else { i[3] });
        at += 1;
        steps += 1;
        match code {
            0x20 => word = data[number as usize / 4],
            0x54 => word &= number,
            0x05 => at += number as usize,
            0x15 => at += jump(word == number),
            0x25 => at += jump(word > number),
            0x35 => at += jump(word >= number),
            0x06 => return (number, steps),
            other => panic!("code {other:#x}"),
        }
    }
}

fn errno(number: u32) -> u32 {
    0x5_0000 | number
}

fn profile(default: &str, architectures: &[&str], syscalls: Vec<LinuxSyscall>) -> LinuxSeccomp {
    LinuxSeccomp {
        default_action: default.into(),
        architectures: architectures.iter().map(|a| (*a).into()).collect(),
        syscalls,
        ..LinuxSeccomp::default()
    }
}

fn call(names: &[&str], action: &str) -> LinuxSyscall {
    let names = names.iter().map(|n| (*n).into()).collect();
    LinuxSyscall { names, action: action.into(), ..LinuxSyscall::default() }
}

fn arg(index: u32, op: &str, value: u64) -> LinuxSeccompArg {
    LinuxSeccompArg { index, value, value_two: 0, op: format!("SCMP_CMP_{op}") }
}

/// `write` with these conditions gets this errno.
fn write(errno: u32, args: &[LinuxSeccompArg]) -> LinuxSyscall {
    LinuxSyscall { errno_ret: Some(errno), args: args.to_vec(), ..call(&["write"], "SCMP_ACT_ERRNO") }
}

fn x86(profile: &LinuxSeccomp) -> Program {
    compile_for(Native::X86_64, profile).unwrap()
}

#[test]
fn the_table_is_sorted_and_has_no_number_twice() {
    assert!(calls::CALLS.is_sorted_by(|a, b| a.0 < b.0));
    let known = [("read", [0, 3, 0, 63, 3]), ("openat2", [437; 5]), ("readv", [19, 145, 515, 65, 145])];
    for (name, numbers) in known {
        let at = calls::CALLS.binary_search_by(|(n, _)| n.cmp(&name)).unwrap();
        assert_eq!(calls::CALLS[at].1, numbers, "{name}");
    }
    for column in 0..5 {
        let mut seen = std::collections::BTreeMap::new();
        for (name, numbers) in calls::CALLS.iter().filter(|(_, n)| n[column] != u32::MAX) {
            let old = seen.insert(numbers[column], *name);
            let aliases = [old, Some(*name)].contains(&Some("arm_sync_file_range"));
            assert!(old.is_none() || aliases, "{name} and {old:?} in column {column}");
        }
    }
}

#[test]
fn every_action() {
    let table = [
        ("SCMP_ACT_KILL", None, 0),
        ("SCMP_ACT_KILL_THREAD", Some(5), 0),
        ("SCMP_ACT_KILL_PROCESS", None, 0x8000_0000),
        ("SCMP_ACT_TRAP", None, 0x3_0000),
        ("SCMP_ACT_ERRNO", None, errno(1)),
        ("SCMP_ACT_ERRNO", Some(38), errno(38)),
        ("SCMP_ACT_TRACE", Some(7), 0x7ff0_0007),
        ("SCMP_ACT_LOG", None, LOG),
        ("SCMP_ACT_NOTIFY", None, NOTIFY),
        ("SCMP_ACT_ALLOW", Some(1), ALLOW),
    ];
    for (action, errno, expected) in table {
        let rule = LinuxSyscall { errno_ret: errno, ..call(&["read", "no_such_call"], action) };
        let mut profile = profile("SCMP_ACT_ERRNO", &[], vec![rule]);
        profile.default_errno_ret = Some(99);
        profile.listener_path = "/listener".into();
        let program = x86(&profile);
        assert_eq!(run(&program, (X86_64, 0), &[]).0, expected, "{action}");
        assert_eq!(program.wants_listener(), action == "SCMP_ACT_NOTIFY");
    }
}

#[test]
fn defaults_and_what_no_rule_could_know() {
    // action, its errno, then the answers to a known call, a newer one and a skipped one
    let table = [
        ("SCMP_ACT_ERRNO", None, [errno(1), NO_SUCH_CALL, NO_SUCH_CALL]),
        ("SCMP_ACT_ERRNO", Some(38), [NO_SUCH_CALL; 3]),
        ("SCMP_ACT_KILL_PROCESS", None, [0x8000_0000, NO_SUCH_CALL, NO_SUCH_CALL]),
        ("SCMP_ACT_LOG", None, [LOG; 3]),
        ("SCMP_ACT_TRACE", Some(3), [0x7ff0_0003; 3]),
    ];
    for (action, default_errno_ret, expected) in table {
        let mut profile = profile(action, &[], vec![call(&["write", "openat2"], "SCMP_ACT_ALLOW")]);
        profile.default_errno_ret = default_errno_ret;
        let program = x86(&profile);
        assert_eq!([0, 438, u32::MAX].map(|n| run(&program, (X86_64, n), &[]).0), expected, "{action}");
        assert_eq!(run(&program, (X86_64, 1), &[]).0, ALLOW);
        assert_eq!(run(&program, (X86_64, 437), &[]).0, ALLOW);
    }
}

#[test]
fn every_operator_on_both_halves() {
    const BIG: u64 = 0x1_0000_0005;
    let table: [(&str, u64, &[u64], &[u64]); 7] = [
        ("EQ", BIG, &[BIG], &[5, BIG + 1, 0x2_0000_0005]),
        ("NE", BIG, &[5, BIG + 1, 0x2_0000_0005], &[BIG]),
        ("LT", BIG, &[0, BIG - 1, 0xffff_ffff], &[BIG, BIG + 1, 0x2_0000_0000]),
        ("LE", BIG, &[0, BIG, 0xffff_ffff], &[BIG + 1, 0x2_0000_0000]),
        ("GT", BIG, &[BIG + 1, 0x2_0000_0000], &[0xffff_ffff, BIG, 0]),
        ("GE", BIG, &[BIG, BIG + 1, 0x2_0000_0000], &[0xffff_ffff, BIG - 1, 0]),
        ("MASKED_EQ", 0xf_0000_00f0, &[0x7_0000_0020, 0xf7_0000_ff2f], &[0x7_0000_0010, 0x20, 0]),
    ];
    for (op, value, yes, no) in table {
        let condition = LinuxSeccompArg { value_two: 0x7_0000_0021, ..arg(5, op, value) };
        let program = x86(&profile("SCMP_ACT_ALLOW", &[], vec![write(5, &[condition])]));
        for (arguments, expected) in [(yes, errno(5)), (no, ALLOW)] {
            for argument in arguments {
                let found = run(&program, (X86_64, 1), &[0, 0, 0, 0, 0, *argument]).0;
                assert_eq!(found, expected, "{op} {argument:#x}");
            }
        }
    }
}

#[test]
fn which_rule_answers() {
    let allow = || call(&["write"], "SCMP_ACT_ALLOW");
    let seven = || arg(0, "EQ", 7);
    let table: [(Vec<LinuxSyscall>, [u64; 2], u32); 13] = [
        (vec![write(5, &[]), allow()], [7, 0], errno(5)),
        (vec![write(5, &[seven()]), allow()], [7, 0], ALLOW),
        (vec![allow(), write(5, &[seven()])], [7, 0], ALLOW),
        (vec![write(5, &[seven()]), write(6, &[seven()])], [7, 0], errno(5)),
        (vec![write(5, &[seven()]), write(6, &[seven()])], [8, 0], errno(1)),
        (vec![write(5, &[arg(0, "GE", 3)]), write(6, &[seven()])], [7, 0], errno(6)),
        (vec![write(5, &[arg(0, "GE", 3)]), write(6, &[seven()])], [8, 0], errno(5)),
        (vec![write(5, &[arg(0, "GT", 3)]), write(6, &[arg(0, "GT", 4)])], [7, 0], errno(6)),
        (vec![write(5, &[arg(0, "LT", 9)]), write(6, &[arg(0, "LT", 8)])], [7, 0], errno(6)),
        (vec![write(5, &[seven(), arg(1, "EQ", 2)]), write(6, &[seven()])], [7, 2], errno(6)),
        (vec![write(5, &[seven(), arg(1, "EQ", 2)])], [7, 3], errno(1)),
        (vec![write(5, &[seven(), arg(1, "EQ", 2)])], [7, 2], errno(5)),
        // The same argument twice: one or the other.
        (vec![write(5, &[seven(), arg(0, "EQ", 8)])], [8, 0], errno(5)),
    ];
    for (rules, arguments, expected) in table {
        let program = x86(&profile("SCMP_ACT_ERRNO", &[], rules.clone()));
        assert_eq!(run(&program, (X86_64, 1), &arguments).0, expected, "{rules:?} {arguments:?}");
    }
}

#[test]
fn every_architecture_has_its_numbers() {
    let calls = || {
        vec![
            call(&["read", "readv", "socket", "accept", "shmget"], "SCMP_ACT_ALLOW"),
            write(5, &[arg(0, "EQ", 0x1_0000_0007)]),
        ]
    };
    let all = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_S390X"];
    let with = x86(&profile("SCMP_ACT_ERRNO", &all, calls()));
    let without = x86(&profile("SCMP_ACT_ERRNO", &[], calls()));
    let arm = compile_for(Native::Aarch64, &profile("SCMP_ACT_ERRNO", &["SCMP_ARCH_ARM"], calls())).unwrap();
    let table = [
        (&with, (X86_64, 0), 0, ALLOW),
        (&with, (X86_64, 19), 0, ALLOW),
        (&with, (X86_64, X32), 0, ALLOW),
        (&with, (X86_64, X32 | 19), 0, errno(1)),
        (&with, (X86_64, X32 | 515), 0, ALLOW),
        (&with, (X86_64, X32 | 516), 0, NO_SUCH_CALL),
        (&with, (X86, 3), 0, ALLOW),
        (&with, (X86, 0), 0, errno(1)),
        // 32-bit arguments have no upper half.
        (&with, (X86, 4), 7, errno(5)),
        (&with, (X86_64, 1), 7, errno(1)),
        (&with, (X86_64, X32 | 1), 7, errno(5)),
        (&with, (X86, 359), 0, ALLOW),
        (&with, (X86, 102), 1, ALLOW),
        (&with, (X86, 102), 5, ALLOW),
        (&with, (X86, 102), 2, errno(1)),
        (&with, (X86, 117), 23, ALLOW),
        (&with, (X86, 117), 24, errno(1)),
        (&with, (AARCH64, 63), 0, KILL_THREAD),
        (&without, (X86_64, 0), 0, ALLOW),
        (&without, (X86_64, X32), 0, NO_SUCH_CALL),
        (&without, (X86, 3), 0, KILL_THREAD),
        (&arm, (AARCH64, 63), 0, ALLOW),
        (&arm, (ARM, 3), 0, ALLOW),
        (&arm, (X86_64, 0), 0, KILL_THREAD),
    ];
    for (program, call, argument, expected) in table {
        assert_eq!(run(program, call, &[argument]).0, expected, "{call:x?} {argument}");
    }
    let permissive = x86(&profile("SCMP_ACT_ALLOW", &[], vec![call(&["read"], "SCMP_ACT_KILL_PROCESS")]));
    assert_eq!(run(&permissive, (X86_64, X32 | 1), &[]).0, KILL_THREAD);
    assert_eq!(run(&permissive, (X86_64, u32::MAX), &[]).0, ALLOW);
}

/// Every second call allowed, one in eight with conditions: far more ranges than a real profile has.
#[test]
fn a_large_profile_is_right_and_quick() {
    let name = |at: usize| calls::CALLS[at].0;
    let plain: Vec<&str> = (0..calls::CALLS.len()).step_by(2).map(name).collect();
    let tested: Vec<&str> = (1..calls::CALLS.len()).step_by(8).map(name).collect();
    let mut conditional = call(&tested, "SCMP_ACT_ALLOW");
    conditional.args = vec![arg(0, "EQ", 7), arg(1, "NE", 8)];
    let all = ["SCMP_ARCH_X86", "SCMP_ARCH_X32"];
    let program = x86(&profile("SCMP_ACT_ERRNO", &all, vec![call(&plain, "SCMP_ACT_ALLOW"), conditional]));
    assert!(program.code.len() / 8 < MOST_INSTRUCTIONS, "{}", program.code.len() / 8);
    let mut longest = 0;
    for (at, (name, numbers)) in calls::CALLS.iter().enumerate() {
        for (column, architecture, bit) in [(0, X86_64, 0), (1, X86, 0), (2, X86_64, X32)] {
            let number = numbers[column];
            if number == u32::MAX || matches!((*name, column), ("socketcall" | "ipc", 1)) {
                continue;
            }
            let twins = [at % 2 == 0, at % 8 == 1];
            let expected = match twins {
                [true, _] => [ALLOW; 3],
                [_, true] => [ALLOW, errno(1), errno(1)],
                _ => [errno(1); 3],
            };
            for (arguments, expected) in [[7, 0], [7, 8], [8, 0]].iter().zip(expected) {
                let (found, steps) = run(&program, (architecture, bit | number), arguments);
                let newer = found == NO_SUCH_CALL && expected == errno(1);
                assert!(found == expected || newer, "{name} {number} {arguments:?}: {found:#x}");
                longest = longest.max(steps);
            }
        }
    }
    assert!(longest <= 40, "{longest} steps");
}

#[test]
fn flags() {
    let table: [(&[&str], bool, u32); 5] = [
        (&[], false, 4),
        (&["SECCOMP_FILTER_FLAG_LOG"], false, 2),
        (&["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], false, 5),
        (&["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], true, 1 | 8 | 16 | 32),
        (&["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], false, 0),
    ];
    for (flags, notifies, expected) in table {
        let action = if notifies { "SCMP_ACT_NOTIFY" } else { "SCMP_ACT_KILL" };
        let mut profile = profile("SCMP_ACT_ALLOW", &[], vec![call(&["read"], action)]);
        profile.flags = flags.iter().map(|f| (*f).into()).collect();
        profile.listener_path = "/listener".into();
        assert_eq!(x86(&profile).flags(), expected, "{flags:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let rule = |action: &str, op: &str, index| LinuxSyscall {
        args: vec![arg(index, op, 0)],
        ..call(&["write"], action)
    };
    let listen = |mut profile: LinuxSeccomp| {
        profile.listener_path = "/listener".into();
        profile
    };
    let allow = "SCMP_ACT_ALLOW";
    let table = [
        (profile("ALLOW", &[], vec![]), "string ALLOW is not a valid action for seccomp"),
        (profile(allow, &["amd64"], vec![]), "string amd64 is not a valid arch for seccomp"),
        (profile(allow, &[], vec![rule("x", "EQ", 0)]), "string x is not a valid action for seccomp"),
        (
            profile(allow, &[], vec![rule("SCMP_ACT_KILL", "X", 0)]),
            "string SCMP_CMP_X is not a valid operator for seccomp",
        ),
        (
            profile(allow, &[], vec![rule("SCMP_ACT_KILL", "EQ", 6)]),
            "seccomp argument index 6 is out of range",
        ),
        (listen(profile("SCMP_ACT_NOTIFY", &[], vec![])), "SCMP_ACT_NOTIFY cannot be used as default action"),
        (
            listen(profile(allow, &[], vec![rule("SCMP_ACT_NOTIFY", "EQ", 0)])),
            "SCMP_ACT_NOTIFY cannot be used for the write syscall",
        ),
        (profile(allow, &[], vec![call(&["read"], "SCMP_ACT_NOTIFY")]), "seccomp listenerPath is not set"),
    ];
    for (profile, expected) in table {
        assert_eq!(compile(&profile).unwrap_err().to_string(), expected);
    }
    let mut flagged = profile(allow, &[], vec![]);
    flagged.flags = vec!["x".into()];
    assert!(compile(&flagged).is_err());
}

/// A filter counts for one thread, so a thread of its own is enough.
#[test]
fn the_kernel_takes_and_obeys_it() {
    let priority = |args: Vec<LinuxSeccompArg>| LinuxSyscall {
        errno_ret: Some(77),
        args,
        ..call(&["getpriority"], "SCMP_ACT_ERRNO")
    };
    // getpriority(PRIO_PROCESS = 0, …) fails, getpriority(PRIO_PGRP = 1, …) works.
    let program = compile(&profile("SCMP_ACT_ALLOW", &[], vec![priority(vec![arg(0, "EQ", 0)])])).unwrap();
    let thread = std::thread::spawn(move || {
        assert!(program.load().unwrap().is_none());
        (rustix::process::getpriority_process(None), rustix::process::getpriority_pgrp(None))
    });
    let (process, group) = thread.join().unwrap();
    assert_eq!(process.unwrap_err().raw_os_error(), 77);
    assert!(group.is_ok());
    assert!(rustix::process::getpriority_process(None).is_ok());
}

#[test]
fn a_listener_gets_the_descriptor_and_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("listener");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut profile = profile("SCMP_ACT_ALLOW", &[], vec![call(&["getpriority"], "SCMP_ACT_NOTIFY")]);
    profile.listener_path = path.to_str().unwrap().into();
    let program = compile(&profile).unwrap();
    let thread = std::thread::spawn(move || {
        let descriptor = program.load().unwrap().unwrap();
        let state = ContainerProcessState { fds: vec!["seccompFd".into()], pid: 7, ..Default::default() };
        send_listener(&path, &state, descriptor).unwrap();
        rustix::process::getpriority_process(None)
    });
    let (socket, _) = listener.accept().unwrap();
    let mut buffer = [0; 4096];
    let (length, descriptors) = kernel::socket::receive(&socket, &mut buffer).unwrap();
    let state: ContainerProcessState = serde_json::from_slice(&buffer[..length]).unwrap();
    assert_eq!((state.pid, descriptors.len()), (7, 1));
    // Nobody listens any more: the call fails as if the kernel did not have it.
    drop(descriptors);
    assert_eq!(thread.join().unwrap().unwrap_err(), rustix::io::Errno::NOSYS);
}
