//! `gantry tasks kill`

use crate::Context;
use crate::run::STOP_SIGNAL;
use anyhow::{Result, bail};
use model::tasks;

/// Send a signal.
#[derive(Debug, clap::Args)]
pub struct Kill {
    /// The signal's name or number; the image's stop signal, else SIGTERM.
    #[arg(long, short)]
    signal: Option<String>,
    /// The process instead of the first one.
    #[arg(long, conflicts_with = "all")]
    exec_id: Option<String>,
    /// Every process of the container.
    #[arg(long, short)]
    all: bool,
    /// The container.
    container: String,
}

impl Kill {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let signal = match &self.signal {
            Some(signal) => parse_signal(signal)?,
            None => {
                let container = cx.services.containers.get(&cx.scope, &self.container).await?;
                container.labels.get(STOP_SIGNAL).map_or(Ok(15), |s| parse_signal(s))?
            }
        };
        let kill = tasks::Kill { exec_id: self.exec_id.unwrap_or_default(), signal, all: self.all };
        cx.services.tasks.kill(&cx.scope, &self.container, kill).await?;
        Ok(0)
    }
}

/// The signals of Linux on this architecture, from 1 on (signal(7)).
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// A signal's number from its name, with or without `SIG`, or from the number itself.
fn parse_signal(text: &str) -> Result<u32> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match SIGNALS.iter().position(|known| *known == name) {
        Some(index) => Ok(index as u32 + 1),
        None => bail!("signal {text:?} is unknown; write a number or a name such as SIGTERM"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_signal;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [("SIGKILL", 9), ("term", 15), ("64", 64), ("SIGSYS", 31)] {
            assert_eq!(parse_signal(text).expect(text), number);
        }
        assert!(parse_signal("SIGNOPE").is_err());
    }
}
