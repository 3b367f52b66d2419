//! `gantry images inspect`

use super::progress::printable;
use crate::{Context, Output, content, output};
use anyhow::{Context as _, Result};
use model::Labels;
use model::images::Image;
use oci::{Descriptor, media_type};
use serde_json::{Value, json};
use std::fmt::Write;

/// The largest manifest, index or config, in bytes.
const MAX_DOCUMENT: u64 = 8 << 20;

/// Show an image and everything below it.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// Show the labels and the text of every document too.
    #[arg(long)]
    content: bool,
    /// The image.
    reference: String,
}

/// A blob of an image.
struct Node {
    descriptor: Descriptor,
    labels: Labels,
    /// The text of a document, if it was asked for.
    text: String,
    below: Below,
}

/// What a blob refers to.
enum Below {
    Nothing,
    /// The blob is not there, so nobody knows.
    Unknown,
    Nodes(Vec<Node>),
}

impl Inspect {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let image = cx.services.images.get(&cx.scope, &self.reference).await?;
        let mut root =
            Descriptor::new(image.target.media_type.clone(), image.target.parse_digest()?, image.target.size);
        root.annotations = image.target.annotations.clone();
        let root = self.node(cx, root).await?;
        match cx.output {
            Output::Table => output::print(&draw(&image, &root))?,
            Output::Json => output::json(&object(&image, &root)?)?,
        }
        Ok(0)
    }

    async fn node(&self, cx: &Context, descriptor: Descriptor) -> Result<Node> {
        let (kind, digest) = (descriptor.media_type.as_str(), &descriptor.digest);
        let has_children = media_type::is_index(kind) || media_type::is_manifest(kind);
        let mut node = Node {
            labels: Labels::new(),
            text: String::new(),
            below: Below::Nothing,
            descriptor: descriptor.clone(),
        };
        let is_wanted = has_children || self.content && media_type::is_config(kind);
        if !is_wanted {
            return Ok(node);
        }
        let info = match cx.services.content.info(&cx.scope, digest).await {
            Err(e) if e.is_not_found() => {
                node.below = if has_children { Below::Unknown } else { Below::Nothing };
                return Ok(node);
            }
            other => other?,
        };
        let bytes = content::read(cx, digest, MAX_DOCUMENT).await?;
        if has_children {
            let children = oci::children(kind, &bytes).with_context(|| format!("read {digest}"))?;
            let mut nodes = Vec::new();
            for child in children {
                nodes.push(Box::pin(self.node(cx, child)).await?);
            }
            node.below = Below::Nodes(nodes);
        }
        if self.content {
            node.labels = info.labels;
            node.text = String::from_utf8_lossy(&bytes).into_owned();
        }
        Ok(node)
    }
}

/// The image as `ctr` draws it.
fn draw(image: &Image, root: &Node) -> String {
    let mut text = format!("{}\n", image.name);
    for (word, time) in [("Created", image.created_at), ("Updated", image.updated_at)] {
        let _ = writeln!(text, "│    {word}: {}", output::event_time(time));
    }
    for (key, value) in &image.labels {
        let _ = writeln!(text, "│    Label {key:?}: {value:?}");
    }
    root.draw(&mut text, "", true);
    text
}

impl Node {
    fn draw(&self, text: &mut String, indent: &str, last: bool) {
        let Descriptor { media_type, digest, size, platform, .. } = &self.descriptor;
        let branch = if last { "└── " } else { "├── " };
        let _ = writeln!(text, "{indent}{branch}{} @{digest} ({size} bytes)", printable(media_type));
        let indent = format!("{indent}{}", if last { "    " } else { "│   " });
        if let Some(platform) = platform {
            let _ = writeln!(text, "{indent}│    Platform: {}", printable(&platform.to_string()));
        }
        let block = match self.below {
            Below::Nothing => indent.clone(),
            _ => format!("{indent}│   "),
        };
        let labels: Vec<String> =
            self.labels.iter().map(|(key, value)| format!("{key:?}: {value:?}")).collect();
        frame(text, &block, ("Labels─", &labels));
        frame(text, &block, ("Content", &lines(&self.text)));
        match &self.below {
            Below::Nothing => {}
            Below::Unknown => {
                let _ = writeln!(text, "{indent}└──  Content does not exist locally, skipping");
            }
            Below::Nodes(nodes) => {
                for (number, node) in nodes.iter().enumerate() {
                    node.draw(text, &indent, number + 1 == nodes.len());
                }
            }
        }
    }
}

/// Lines in a frame with a title; nothing for none.
fn frame(text: &mut String, indent: &str, (title, lines): (&str, &[String])) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{indent}┌────────{title}────────");
    for line in lines {
        let _ = writeln!(text, "{indent}│{line}");
    }
    let _ = writeln!(text, "{indent}└───────────────────────");
}

/// A JSON text in lines, each member on its own, in the order of the text.
fn lines(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut depth, mut quoted, mut escaped, mut opened) = (0usize, false, false, false);
    for c in text.chars().filter(|c| !c.is_control()) {
        let closes = !quoted && matches!(c, '}' | ']');
        if !quoted && c == ' ' {
            continue;
        }
        depth -= usize::from(closes).min(depth);
        // What opens and closes at once stays on its line.
        if opened != closes && (opened || closes) {
            lines.push("   ".repeat(depth));
        }
        let Some(line) = lines.last_mut() else { break };
        line.push(c);
        opened = !quoted && matches!(c, '{' | '[');
        depth += usize::from(opened);
        match c {
            ':' if !quoted => line.push(' '),
            ',' if !quoted => lines.push("   ".repeat(depth)),
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

fn object(image: &Image, root: &Node) -> Result<Value> {
    Ok(json!({
        "name": image.name,
        "labels": image.labels,
        "createdAt": image.created_at.to_rfc3339(),
        "updatedAt": image.updated_at.to_rfc3339(),
        "target": root.object()?,
    }))
}

impl Node {
    fn object(&self) -> Result<Value> {
        let mut object = serde_json::to_value(&self.descriptor)?;
        match &self.below {
            Below::Nothing => {}
            Below::Unknown => object["missing"] = true.into(),
            Below::Nodes(nodes) => {
                object["children"] = nodes.iter().map(Node::object).collect::<Result<Vec<_>>>()?.into();
            }
        }
        if !self.text.is_empty() {
            object["labels"] = serde_json::to_value(&self.labels)?;
            object["content"] = serde_json::from_str(&self.text).unwrap_or(Value::Null);
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_in_lines() {
        for (text, expected) in [
            ("{}", "{}"),
            ("{\"b\": [], \"a\":{ }}", "{|   \"b\": [],|   \"a\": {}|}"),
            (
                "{\"z\":[1, {\"a\":\"x, {\\\"y: \\\\\"}]}\n",
                "{|   \"z\": [|      1,|      {|         \"a\": \"x, {\\\"y: \\\\\"|      }|   ]|}",
            ),
            ("", ""),
        ] {
            assert_eq!(lines(text).join("|"), expected, "{text}");
        }
    }
}
