//! What tests need done in a process with one thread: `probe VERB ARGUMENTS`.

use std::ffi::CString;
use std::path::Path;

use kernel::capability::{self, Sets};
use kernel::namespace::{self, Namespaces};
use kernel::process::{self, Clone};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match arguments.first().map(String::as_str) {
        Some("sealed") => run_sealed(&rest),
        Some("clone") => clone(),
        Some("capabilities") => drop_capabilities(),
        Some("close") => close(),
        Some("threads") => threads(),
        _ => std::process::exit(2),
    }
}

/// Executes a program from a sealed place.
fn run_sealed(words: &[&str]) {
    let words: Vec<CString> = words.iter().map(|word| CString::new(*word).expect("no zero byte")).collect();
    let program = words[0].to_str().expect("a path").to_owned();
    eprintln!("{}", process::run_sealed(Path::new(&program), &words, &[]));
    std::process::exit(1);
}

/// Clones into new namespaces and tells what the child is.
fn clone() {
    let namespaces = Namespaces::PID.with(Namespaces::UTS).with(Namespaces::MOUNT);
    let child = Clone { namespaces, ..Clone::default() }
        .spawn(|| {
            let own = std::process::id() as i32;
            process::set_hostname("inside").map_or(1, |()| 40 + own)
        })
        .expect("clone");
    let exit = process::wait_pid(child.pid).expect("wait");
    println!("{}", exit.status);
    let child = process::fork(|| -> i32 { panic!("a panic ends only the child") }).expect("fork");
    println!("{}", process::wait_pid(child.pid).expect("wait").status);
    namespace::unshare(Namespaces::UTS).expect("unshare");
    process::set_hostname("own").expect("sethostname");
    println!("{}", std::fs::read_to_string("/proc/sys/kernel/hostname").expect("read").trim());
}

/// Keeps two capabilities and tells all sets.
fn drop_capabilities() {
    let kept = capability::mask(&["CAP_CHOWN", "CAP_KILL"]);
    capability::limit_bounding(kept).expect("bounding");
    let one = capability::mask(&["CAP_KILL"]);
    let sets = Sets { bounding: kept, permitted: kept, effective: one, inheritable: one, ambient: kept };
    capability::apply(&sets).expect("capabilities");
    process::set_no_new_privileges().expect("no_new_privs");
    tell(&["Cap", "NoNewPrivs"]);
}

fn tell(names: &[&str]) {
    let status = std::fs::read_to_string("/proc/self/status").expect("read");
    for line in status.lines().filter(|line| names.iter().any(|name| line.starts_with(name))) {
        println!("{}", line.replace('\t', ""));
    }
}

/// Closes all but one descriptor and tells which are left.
fn close() {
    let files: Vec<_> = (0..5).map(|_| std::fs::File::open("/").expect("open")).collect();
    let kept = std::os::fd::AsRawFd::as_raw_fd(&files[2]);
    process::close_all_except(&[kept]).expect("close");
    std::mem::forget(files);
    let mut open: Vec<i32> =
        (0..64).filter(|fd| Path::new(&format!("/proc/self/fd/{fd}")).exists()).collect();
    open.retain(|fd| *fd > 2);
    println!("{}", open == [kept]);
}

/// Tries to clone with a second thread running.
fn threads() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    println!("{}", process::fork(|| 0).expect_err("a process with threads must not be cloned"));
    drop(release);
    let _ = thread.join();
}
