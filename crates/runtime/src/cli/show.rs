//! `state`, `list`, `ps` and `features`.

use std::process::Command;

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use super::arguments::{Count, Flag, Order, Parsed};
use super::{Failure, Globals, Outcome, Verb, print};
use crate::Summary;

const FORMAT: Flag = Flag::value(&["format", "f"], "select one of: table or json (default: \"table\")");

pub(super) const STATE: Verb = Verb {
    name: "state",
    usage: "<container-id>",
    about: "output the state of a container",
    flags: &[],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: state,
};

pub(super) const LIST: Verb = Verb {
    name: "list",
    usage: "[command options]",
    about: "lists containers started with the given root",
    flags: &[FORMAT, Flag::switch(&["quiet", "q"], "display only container IDs")],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run: list,
};

pub(super) const PS: Verb = Verb {
    name: "ps",
    usage: "[command options] <container-id> [ps options]",
    about: "ps displays the processes running inside a container",
    flags: &[FORMAT],
    count: Count::AtLeast(1),
    order: Order::FlagsFirst,
    run: ps,
};

pub(super) const FEATURES: Verb = Verb {
    name: "features",
    usage: "",
    about: "show the enabled features",
    flags: &[],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run: |_, _| {
        print(&format!("{}\n", pretty(&crate::features(), "    ")?));
        Ok(0)
    },
};

/// JSON with this indentation.
pub(super) fn pretty(value: &impl Serialize, indent: &str) -> Result<String, Failure> {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value.serialize(&mut serializer).map_err(|e| Failure::new(e.to_string()))?;
    String::from_utf8(text).map_err(|e| Failure::new(e.to_string()))
}

fn state(globals: &Globals, parsed: Parsed) -> Outcome {
    let mut summary = crate::state(&globals.root, parsed.word(0))?;
    // Only `list` tells the owner.
    summary.owner.clear();
    print(&pretty(&summary, "  ")?);
    Ok(0)
}

fn list(globals: &Globals, parsed: Parsed) -> Outcome {
    let found = crate::list(&globals.root)?;
    if parsed.has("quiet") {
        print(&found.iter().map(|summary| format!("{}\n", summary.id)).collect::<String>());
        return Ok(0);
    }
    match parsed.value("format").unwrap_or("table") {
        "table" => print(&table(&found)),
        // An empty list is what Go writes for it.
        "json" if found.is_empty() => print("null\n"),
        "json" => {
            let text = serde_json::to_string(&found).map_err(|e| Failure::new(e.to_string()))?;
            print(&format!("{text}\n"));
        }
        _ => return Err(Failure::new("invalid format option")),
    }
    Ok(0)
}

/// Columns at least 12 wide and 3 apart.
fn table(found: &[Summary]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    rows.extend(found.iter().map(|s| {
        let (id, status, bundle) = (s.id.clone(), s.status.clone(), s.bundle.clone());
        [id, s.pid.to_string(), status, bundle, s.created.clone(), s.owner.clone()]
    }));
    let width = |at: usize| {
        rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0).saturating_add(3).max(12)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(&row[5]);
        text.push('\n');
    }
    text
}

fn ps(globals: &Globals, parsed: Parsed) -> Outcome {
    let pids = crate::ps(&globals.root, parsed.word(0))?;
    match parsed.value("format").unwrap_or("table") {
        "json" => {
            let text = serde_json::to_string(&pids).map_err(|e| Failure::new(e.to_string()))?;
            print(&format!("{text}\n"));
        }
        "table" => {
            let options = parsed.rest.get(1..).filter(|rest| !rest.is_empty());
            let output = match options {
                Some(options) => Command::new("ps").args(options).output(),
                None => Command::new("ps").arg("-ef").output(),
            };
            let output = output.map_err(|e| Failure::new(format!("exec: \"ps\": {e}")))?;
            if !output.status.success() {
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Failure::new(format!("{}: {text}", output.status)));
            }
            print(&only(&String::from_utf8_lossy(&output.stdout), &pids)?);
        }
        _ => return Err(Failure::new("invalid format option")),
    }
    Ok(0)
}

/// The header and the lines of these processes.
fn only(text: &str, pids: &[i32]) -> Result<String, Failure> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let column = header
        .split_whitespace()
        .position(|word| word == "PID")
        .ok_or_else(|| Failure::new("couldn't find PID field in ps output"))?;
    let mut kept = format!("{header}\n");
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse::<i32>().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            kept.push_str(&format!("{line}\n"));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let summary = Summary {
            id: "a-rather-long-name".into(),
            pid: 7,
            status: "running".into(),
            bundle: "/b".into(),
            created: "2026".into(),
            owner: "root".into(),
            ..Summary::default()
        };
        let expected = "\
ID                   PID         STATUS      BUNDLE      CREATED     OWNER
a-rather-long-name   7           running     /b          2026        root
";
        assert_eq!(table(&[summary]), expected);
        assert_eq!(table(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }

    #[test]
    fn processes_are_filtered() {
        let text = "UID        PID  PPID CMD\nroot         1     0 init\nroot        12     1 sh\n";
        assert_eq!(
            only(text, &[12, 99]).unwrap_or_default(),
            "UID        PID  PPID CMD\nroot        12     1 sh\n"
        );
        assert!(only("USER\nroot\n", &[1]).is_err());
    }
}
