//! The program in the demo's image: says where it runs, then does what its argument asks.
//!
//! `hello` prints and ends; `hello stay` prints, works a moment, and goes on until it is killed;
//! the moment of work is there so that there is something to measure.

use std::fs;

fn main() {
    println!("pid namespace: {}", link("/proc/self/ns/pid"));
    println!("my pid:        {}", std::process::id());
    println!("hostname:      {}", text("/proc/sys/kernel/hostname"));
    println!("id:            {}", identity());
    println!("cgroup:        {}", cgroup());
    println!("processes:     {}", processes());
    if std::env::args().nth(1).as_deref() == Some("stay") {
        let sum = (0..100_000_000u64).fold(0u64, |sum, n| sum.wrapping_mul(31).wrapping_add(n ^ sum));
        println!("worked:        {sum:x}");
        loop {
            std::thread::park();
        }
    }
}

fn link(path: &str) -> String {
    fs::read_link(path).map_or_else(|e| format!("({path}: {e})"), |l| l.display().to_string())
}

fn text(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|e| format!("({path}: {e})"), |t| t.trim().to_owned())
}

fn identity() -> String {
    let status = text("/proc/self/status");
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().unwrap_or("?").to_owned()
    };
    format!("uid={} gid={} capabilities={}", field("Uid:"), field("Gid:"), field("CapEff:"))
}

fn cgroup() -> String {
    let all = text("/proc/self/cgroup");
    let line = all.lines().find(|l| l.contains(":memory:")).or_else(|| all.lines().last());
    line.unwrap_or_default().to_owned()
}

fn processes() -> usize {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|e| e.file_name());
    names.filter(|n| n.to_string_lossy().bytes().all(|b| b.is_ascii_digit())).count()
}
