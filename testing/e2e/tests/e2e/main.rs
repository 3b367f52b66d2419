//! The whole product on a real kernel: the same scenarios through the real `ctr` and through `gantry`.
//!
//! A scenario gets a daemon of its own and is done when nothing is left of it. `GANTRY_E2E_DAEMON=containerd`
//! runs them against a real containerd instead, which shows that they ask for what containerd does.

/// Makes two tests of each scenario, one for each client.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod with_ctr {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                super::$name(crate::start(e2e::Client::Ctr)?)
            })*
        }
        mod with_gantry {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                super::$name(crate::start(e2e::Client::Gantry)?)
            })*
        }
    };
}

mod absent;
mod alike;
mod cgroups;
mod crash;
mod events;
mod full;
mod images;
mod manual;
mod moments;
mod progress;
mod pull;
mod refusals;
mod registry_words;
mod restart;
mod run;
mod services;
mod specs;
mod swaps;
mod tasks;
mod trace;
mod words;

use e2e::{Client, Daemon, Start};

fn start(client: Client) -> anyhow::Result<Daemon> {
    Daemon::start_with(Start { client, ..Start::new() })
}
