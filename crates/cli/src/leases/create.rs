//! `gantry leases create`

use super::describe;
use crate::context::{in_seconds, parse_labels};
use crate::{Context, Output, output};
use anyhow::{Context as _, Result};
use std::time::Duration;

/// Make a lease and print its id.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// Its id; one is made up by default.
    #[arg(long, default_value = "", hide_default_value = true)]
    id: String,
    /// Let it end after this time (90, 90s, 10m, 24h); 0 for never.
    #[arg(long, short = 'x', value_parser = crate::parse_duration, default_value = "24h")]
    expires: Duration,
    /// Labels, key=value.
    labels: Vec<String>,
}

impl Create {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let mut labels = parse_labels(&self.labels)?;
        if !self.expires.is_zero() {
            let end = jiff::Timestamp::now().checked_add(self.expires).context("--expires")?;
            labels.insert(model::labels::GC_EXPIRE.into(), in_seconds(end));
        }
        let lease = cx.services.leases.create(&cx.scope, &self.id, labels).await?;
        match cx.output {
            Output::Table => output::line(&lease.id)?,
            Output::Json => output::json(&describe(&lease))?,
        }
        Ok(0)
    }
}
