//! Side-by-side measurements: gantry, the containerd of `compat/`, Debian's; one client, one run, one table.

use std::path::PathBuf;

use anyhow::{Context, Result};
use e2e::{Daemon, Kind};

mod contender;
mod memory;
mod peer;
mod pull;
mod soak;
mod spec;
mod stage;
mod table;
mod trace;

use contender::{Contender, Effort, Turn};
use table::Column;

const WHOLE: Effort = Effort { rounds: 6, cycles: 20, containers: 50, image: 1_760_000_000 };
const QUICK: Effort = Effort { rounds: 2, cycles: 10, containers: 10, image: 0 };

fn main() -> Result<()> {
    stage::own_run()?;
    // One thread: what the client itself needs is to be little beside what is measured.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        None => compare(WHOLE, everybody()).await?,
        Some("--quick") => compare(QUICK, everybody()).await?,
        Some("--against") => {
            let other = arguments.get(1).context("--against: the folder of another build is missing")?;
            return compare(WHOLE, builds(other)).await;
        }
        Some("--trace") => {}
        Some("--pull") => {
            let columns = pull::compare(WHOLE.image, &everybody())?;
            return report(columns, Vec::new());
        }
        Some("--soak") => return soak::run().await,
        Some(other) => anyhow::bail!("unknown option {other}; see bench/README.md"),
    }
    trace::run().await
}

/// A daemon to be measured: whose, from which folder, and its name in the table.
type Entrant = (Kind, PathBuf, &'static str);

fn everybody() -> Vec<Entrant> {
    let dist = e2e::daemon::dist();
    let known = [
        (Kind::Gantry, dist.clone(), "gantry"),
        (Kind::Containerd, dist.clone(), "containerd 2.3"),
        (Kind::Debian, dist, "Debian's containerd"),
    ];
    known.into_iter().filter(|(kind, dist, _)| kind.program(dist).exists()).collect()
}

/// This build and another one.
fn builds(other: &str) -> Vec<Entrant> {
    vec![(Kind::Gantry, e2e::daemon::dist(), "this build"), (Kind::Gantry, other.into(), "the other build")]
}

/// Measures everybody in turns and prints the table.
async fn compare(effort: Effort, entrants: Vec<Entrant>) -> Result<()> {
    let mut contenders = Vec::new();
    for (kind, dist, title) in entrants.clone() {
        contenders.push(Contender::enter(kind, dist, title).await.with_context(|| title.to_owned())?);
    }
    for _ in 0..effort.rounds {
        let cycles = std::iter::repeat_n(Turn::Cycle, effort.cycles);
        let execs = std::iter::repeat_n(Turn::Exec, effort.cycles);
        let round = cycles.chain([Turn::Stay]).chain(execs).chain([Turn::Leave, Turn::Workers]);
        for (number, turn) in round.enumerate() {
            for place in 0..contenders.len() {
                let place = if number % 2 == 0 { place } else { contenders.len() - 1 - place };
                contenders[place].turn(turn).await?;
            }
        }
    }
    for contender in &mut contenders {
        contender.memory(effort.containers).await?;
    }
    let columns = contenders.into_iter().map(Contender::finish).collect::<Result<Vec<_>>>()?;
    let pulled = if effort.image > 0 { pull::compare(effort.image, &entrants)? } else { Vec::new() };
    report(columns, pulled)
}

/// Prints the table and writes it as JSON.
fn report(mut columns: Vec<Column>, more: Vec<Column>) -> Result<()> {
    columns.iter_mut().zip(more).for_each(|(column, more)| column.join(more));
    table::print(&columns);
    let file = e2e::daemon::dist().with_file_name("bench.json");
    table::write(&columns, &file)?;
    println!("\nthe same as JSON: {}", file.display());
    Ok(())
}

/// The pid of a daemon, as `/proc` is asked.
fn pid(daemon: &Daemon) -> Result<i32> {
    Ok(i32::try_from(daemon.pid()?)?)
}
