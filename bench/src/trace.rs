//! Where the time of one cycle and one exec goes, by the trace that daemon, shim and runtime write.
//!
//! Many are run; the one whose duration is the median is shown. A step stands below the one within which it happened,
//! whatever process did it.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use e2e::daemon::dist;
use e2e::{Daemon, Kind, Start};

use crate::peer::{CYCLE, EXEC, Peer};
use crate::stage;

/// How many are run of each.
const TIMES: usize = 25;
/// How many are run before.
const WARM: usize = 5;
/// Steps of nested times may seem to overlap by this, in microseconds.
const SLACK: u64 = 2;

/// One line of the trace, times in microseconds.
#[derive(Debug, Clone)]
struct Step {
    begin: u64,
    end: u64,
    pid: u32,
    what: String,
    id: String,
}

/// A step and those within it.
#[derive(Debug)]
struct Node {
    step: Step,
    within: Vec<Node>,
}

/// Runs a daemon with the trace on and prints a cycle and an exec.
pub async fn run() -> Result<()> {
    let file = std::env::temp_dir().join(format!("gantry-trace-{}", std::process::id()));
    File::create(&file).with_context(|| format!("create {}", file.display()))?;
    let shown = run_at(&file).await;
    let _ = fs::remove_file(&file);
    shown
}

async fn run_at(file: &Path) -> Result<()> {
    let env = vec![(kernel::trace::VARIABLE, file.to_owned())];
    let daemon = Daemon::start_with(Start { env, ..stage::start(Kind::Gantry, dist()) })?;
    daemon.import_busybox()?;
    let mut peer = Peer::connect(&daemon).await?;
    kernel::trace::open_at(file);
    for number in 0..WARM {
        peer.cycle(&format!("warm-{number}")).await?;
    }
    clear(file)?;
    for number in 0..TIMES {
        peer.cycle(&format!("cycle-{number}")).await?;
    }
    show(CYCLE, &read(file)?);
    peer.stay("host").await?;
    peer.exec("host", "warm").await?;
    clear(file)?;
    for number in 0..TIMES {
        peer.exec("host", &format!("exec-{number}")).await?;
    }
    show(EXEC, &read(file)?);
    peer.leave("host").await?;
    drop(peer);
    daemon.finish()
}

fn clear(file: &Path) -> Result<()> {
    // Everybody appends, so everybody goes on at the new end.
    File::options().write(true).open(file)?.set_len(0).with_context(|| format!("empty {}", file.display()))
}

fn read(file: &Path) -> Result<Vec<Step>> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(text.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Step> {
    let mut words = line.splitn(5, ' ');
    let begin: u64 = words.next()?.parse().ok()?;
    let spent: u64 = words.next()?.parse().ok()?;
    let (pid, what, id) = (words.next()?.parse().ok()?, words.next()?.to_owned(), words.next()?.to_owned());
    Some(Step { begin, end: begin + spent, pid, what, id })
}

/// Prints the median of the steps of that name with everything within.
fn show(name: &str, steps: &[Step]) {
    let mut whole: Vec<&Step> = steps.iter().filter(|step| step.what == name).collect();
    whole.sort_by_key(|step| step.end - step.begin);
    let Some(median) = whole.get(whole.len() / 2) else { return };
    let mut parts: Vec<Step> = steps
        .iter()
        .filter(|s| s.begin >= median.begin && s.end <= median.end && s.what != name)
        .cloned()
        .collect();
    parts.sort_by_key(|step| (step.begin, std::cmp::Reverse(step.end)));
    let tree = nest(parts);
    let (total, origin) = (median.end - median.begin, median.begin);
    println!("\n{name}: the median of {} with the trace on; microseconds", whole.len());
    println!("{:>8}{:>9}{:>9}", "at", "took", "of it own");
    tree.iter().for_each(|node| print(node, origin, 0));
    let named = covered(&tree);
    println!("{:>17}  total; in no step: {}", total, total - named.min(total));
}

/// Puts each step below the last one within which it lies.
fn nest(steps: Vec<Step>) -> Vec<Node> {
    let mut roots: Vec<Node> = Vec::new();
    for step in steps {
        place(&mut roots, step);
    }
    roots
}

fn place(nodes: &mut Vec<Node>, step: Step) {
    let home = nodes.iter().rposition(|n| step.begin >= n.step.begin && step.end <= n.step.end + SLACK);
    match home {
        Some(home) => place(&mut nodes[home].within, step),
        None => nodes.push(Node { step, within: Vec::new() }),
    }
}

/// The time during which at least one of the nodes was under way.
fn covered(nodes: &[Node]) -> u64 {
    let mut end = 0;
    let mut sum = 0;
    for step in nodes.iter().map(|n| &n.step) {
        sum += step.end.saturating_sub(step.begin.max(end));
        end = end.max(step.end);
    }
    sum
}

fn print(node: &Node, origin: u64, depth: usize) {
    let Step { begin, end, pid, what, id } = &node.step;
    let spent = end - begin;
    let own = if node.within.is_empty() {
        String::new()
    } else {
        spent.saturating_sub(covered(&node.within)).to_string()
    };
    let indent = "  ".repeat(depth + 1);
    println!("{:>8}{:>9}{:>9}{indent}{what} {id} [{pid}]", begin - origin, spent, own);
    node.within.iter().for_each(|n| print(n, origin, depth + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_nest_by_time() {
        let lines = ["10 80 1 a.outer x", "10 20 2 b.first ", "40 40 2 b.second ", "45 10 3 c.inner y"];
        let steps: Vec<Step> = lines.iter().filter_map(|line| parse(line)).collect();
        assert_eq!(steps.len(), 4);
        let tree = nest(steps);
        assert_eq!(tree.len(), 1);
        assert_eq!(tree[0].within.len(), 2);
        assert_eq!(tree[0].within[1].within[0].step.what, "c.inner");
        assert_eq!(covered(&tree[0].within), 60);
    }
}
