//! What the daemon is doing, for the log: the answer to SIGUSR1.

use crate::flight::Flights;
use shims::Shims;
use std::fmt::Write as _;
use std::path::Path;

/// What a report looks at.
#[derive(Clone)]
pub struct Report {
    /// The requests under way.
    pub flights: Flights,
    /// The tasks.
    pub shims: Shims,
}

impl Report {
    /// Writes to the log what is under way: requests, tasks, threads.
    pub async fn log(&self) {
        let mut text = String::from("what is going on:\n");
        let requests = self.flights.list();
        let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} requests, {alive} asynchronous tasks", requests.len());
        for (method, since) in requests {
            let _ = writeln!(text, "request {method} for {:.3} s", since.elapsed().as_secs_f64());
        }
        for task in self.shims.overview() {
            let _ = writeln!(text, "task {task}");
        }
        let threads = tokio::task::spawn_blocking(|| threads(Path::new("/proc/self/task"))).await;
        text.push_str(&threads.unwrap_or_default());
        tracing::info!("{text}");
    }
}

/// A line for each thread: its number, name, state, and where in the kernel it waits.
fn threads(dir: &Path) -> String {
    let mut text = String::new();
    for thread in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let (name, stat, place) = (read("comm"), read("stat"), read("wchan"));
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or("?");
        let number = thread.file_name();
        let _ = writeln!(text, "thread {} {} {state} {place}", number.to_string_lossy(), name.trim());
        let stack = read("stack");
        stack.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_line() {
        let text = threads(Path::new("/proc/self/task"));
        let own = format!("thread {} ", rustix::thread::gettid().as_raw_nonzero());
        let line = text.lines().find(|line| line.starts_with(&own)).expect("the own thread");
        assert!(line.contains(" R "), "{line}");
    }
}
