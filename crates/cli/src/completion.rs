//! `gantry completion`

use crate::{Cli, output};
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print the script that lets a shell complete gantry's words.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
bash:  gantry completion bash > /etc/bash_completion.d/gantry
zsh:   gantry completion zsh > /usr/share/zsh/site-functions/_gantry
fish:  gantry completion fish > /etc/fish/completions/gantry.fish")]
pub struct Completion {
    /// The shell.
    #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> Result<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "gantry", &mut script);
        output::print(&String::from_utf8_lossy(&script))?;
        Ok(0)
    }
}
