//! Measures create, exec, start, exit and delete of one container after the other: `cycle ROOT BUNDLE COUNT`.
//!
//! The program is forked for each create, as the shim does it; the first process is a child of this one.

use std::path::Path;
use std::time::{Duration, Instant};

use oci::runtime::Process;
use runtime::{Console, Create, Deletion, Exec, Flags, Parent, delete, start};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, root, bundle, count] = &arguments[..] else {
        eprintln!("cycle ROOT BUNDLE COUNT");
        std::process::exit(2);
    };
    let count: usize = count.parse().expect("a number");
    let mut laps: [Vec<Duration>; 6] = Default::default();
    for number in 0..count {
        let id = format!("cycle-{}-{number}", std::process::id());
        let begin = Instant::now();
        let pid = create(Path::new(root), Path::new(bundle), &id);
        let created = Instant::now();
        exec(Path::new(root), &id);
        let executed = Instant::now();
        start(Path::new(root), &id).expect("start");
        let started = Instant::now();
        kernel::process::wait_pid(pid).expect("wait");
        let exited = Instant::now();
        delete(Path::new(root), &id, Deletion::Stopped).expect("delete");
        let deleted = Instant::now();
        for (lap, time) in laps.iter_mut().zip([
            created - begin,
            executed - created,
            started - executed,
            exited - started,
            deleted - exited,
            deleted - executed + (created - begin),
        ]) {
            lap.push(time);
        }
    }
    for (name, mut lap) in ["create", "exec", "start", "exit", "delete", "whole"].into_iter().zip(laps) {
        lap.sort();
        println!(
            "{name:8} p50 {:>9.3?}  p90 {:>9.3?}  min {:>9.3?}",
            lap[count / 2],
            lap[count * 9 / 10],
            lap[0]
        );
    }
}

/// Creates in a fork, as a shim would, and returns the first process.
fn create(root: &Path, bundle: &Path, id: &str) -> i32 {
    let pid_file = root.join(format!("{id}.pid"));
    in_fork(|| {
        let create = Create {
            root,
            id,
            bundle,
            console: Console::None,
            pid_file: Some(&pid_file),
            flags: Flags { parent: Parent::CallersParent, ..Flags::default() },
        };
        create.run().map(drop)
    });
    take_pid(&pid_file)
}

/// Runs `/bin/true` in a container, to its end.
fn exec(root: &Path, id: &str) {
    let pid_file = root.join(format!("{id}.pid"));
    let process = Process {
        args: vec!["/bin/true".into()],
        cwd: "/".into(),
        env: vec!["PATH=/bin".into()],
        ..Process::default()
    };
    in_fork(|| {
        let exec = Exec {
            root,
            id,
            process: &process,
            console: Console::None,
            pid_file: Some(&pid_file),
            flags: Flags { parent: Parent::CallersParent, ..Flags::default() },
        };
        exec.run().map(drop)
    });
    kernel::process::wait_pid(take_pid(&pid_file)).expect("wait");
}

fn in_fork(work: impl FnOnce() -> runtime::Result<()>) {
    let child = kernel::process::fork(|| match work() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    });
    let exit = kernel::process::wait_pid(child.expect("fork").pid).expect("wait");
    assert_eq!(exit.status, 0);
}

fn take_pid(file: &Path) -> i32 {
    let pid = std::fs::read_to_string(file).expect("pid file").parse().expect("a number");
    std::fs::remove_file(file).expect("remove");
    pid
}
