//! `gantry images remove`

use crate::{Context, output};
use anyhow::Result;
use model::images::Delete;

/// Remove images.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Wait until what only they held is gone.
    #[arg(long)]
    sync: bool,
    /// Their names.
    #[arg(required = true)]
    names: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let mut code = 0;
        for (index, name) in self.names.iter().enumerate() {
            let sync = self.sync && index + 1 == self.names.len();
            let delete = Delete { name: name.clone(), sync, target: None };
            match cx.services.images.delete(&cx.scope, delete).await {
                Ok(()) => output::line(name)?,
                Err(e) => {
                    eprintln!("gantry: {e}");
                    code = 1;
                }
            }
        }
        Ok(code)
    }
}
