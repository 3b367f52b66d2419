//! `gantry events`

use crate::{Context, Output, output};
use anyhow::Result;

/// Print events as they happen, one line each.
#[derive(Debug, clap::Args)]
pub struct Events {
    /// Filters over `topic`, `namespace` and `event.<field>`.
    filters: Vec<String>,
}

impl Events {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let mut subscription = cx.services.events.subscribe(&self.filters).await?;
        while let Some(envelope) = subscription.next().await {
            let envelope = envelope?;
            let event = envelope.event.as_ref().map_or_else(String::new, client::words::event);
            let (time, namespace, topic) = (envelope.timestamp, &envelope.namespace, &envelope.topic);
            match cx.output {
                Output::Table => {
                    output::line(format!("{} {namespace} {topic} {event}", output::event_time(time)))?
                }
                Output::Json => output::line(serde_json::json!({
                    "timestamp": time.to_rfc3339(),
                    "namespace": namespace,
                    "topic": topic,
                    "event": serde_json::from_str(&event).unwrap_or(serde_json::Value::Null),
                }))?,
            }
        }
        Ok(0)
    }
}
